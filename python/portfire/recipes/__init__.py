"""Training programs: one folder for each task, each with its config, model, data, train and card."""
