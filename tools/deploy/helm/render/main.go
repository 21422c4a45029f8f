// Renders the chart where there is no helm: `render CHART RELEASE NAMESPACE [VALUES.yaml]` prints the manifests. The same engine as
// helm's, Go's text/template with sprig's functions, and those that helm adds and the chart uses (include, toYaml, required); values are
// laid over the chart's own. What helm does besides (the values' schema, hooks, the cluster) is not done.
// Debian: golang-go golang-github-masterminds-sprig-dev golang-sigs-k8s-yaml-dev; GO111MODULE=off GOPATH=/usr/share/gocode go run main.go
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig"
	"sigs.k8s.io/yaml"
)

type object = map[string]interface{}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "render:", err)
		os.Exit(1)
	}
}

func read(path string) object {
	text, err := os.ReadFile(path)
	must(err)
	values := object{}
	must(yaml.Unmarshal(text, &values))
	return values
}

func lay(over, under object) {
	for key, value := range over {
		inner, isObject := value.(object)
		if old, was := under[key].(object); isObject && was {
			lay(inner, old)
		} else {
			under[key] = value
		}
	}
}

func main() {
	if len(os.Args) < 4 {
		must(errors.New("CHART RELEASE NAMESPACE [VALUES.yaml] are needed"))
	}
	chart, values := read(filepath.Join(os.Args[1], "Chart.yaml")), read(filepath.Join(os.Args[1], "values.yaml"))
	if len(os.Args) > 4 {
		lay(read(os.Args[4]), values)
	}
	top := object{
		"Values":  values,
		"Chart":   object{"Name": chart["name"], "Version": chart["version"], "AppVersion": chart["appVersion"]},
		"Release": object{"Name": os.Args[2], "Namespace": os.Args[3], "Service": "Helm"},
	}
	all := template.New("").Option("missingkey=error")
	functions := sprig.TxtFuncMap()
	functions["include"] = func(name string, data interface{}) (string, error) {
		var out strings.Builder
		err := all.ExecuteTemplate(&out, name, data)
		return out.String(), err
	}
	functions["toYaml"] = func(value interface{}) (string, error) {
		text, err := yaml.Marshal(value)
		return strings.TrimSuffix(string(text), "\n"), err
	}
	functions["required"] = func(message string, value interface{}) (interface{}, error) {
		if value == nil || value == "" {
			return nil, errors.New(message)
		}
		return value, nil
	}
	all.Funcs(functions)
	files, err := filepath.Glob(filepath.Join(os.Args[1], "templates", "*"))
	must(err)
	sort.Strings(files)
	for _, file := range files {
		text, err := os.ReadFile(file)
		must(err)
		_, err = all.New(filepath.Base(file)).Parse(string(text))
		must(err)
	}
	for _, file := range files {
		name := filepath.Base(file)
		var out strings.Builder
		must(all.ExecuteTemplate(&out, name, top))
		if filepath.Ext(name) == ".yaml" && strings.TrimSpace(out.String()) != "" {
			fmt.Printf("---\n# Source: %s/templates/%s\n%s\n", chart["name"], name, strings.TrimSpace(out.String()))
		}
	}
}
