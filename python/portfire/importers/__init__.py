"""Models of other projects as packages: `python -m portfire.importers KIND PATH`."""
