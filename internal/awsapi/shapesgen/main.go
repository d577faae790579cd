package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"strings"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("shapesgen: ")
	modelPath := flag.String("model", "", "service model, JSON or gzipped JSON")
	listPath := flag.String("operations", "", "file with one operation name a line")
	pkg := flag.String("package", "", "name of the Go package to write")
	out := flag.String("out", "", "file to write")
	flag.Parse()
	if *modelPath == "" || *listPath == "" || *pkg == "" || *out == "" {
		log.Fatal("-model, -operations, -package and -out are all needed")
	}
	if err := run(*modelPath, *listPath, *pkg, *out); err != nil {
		log.Fatal(err)
	}
}

func run(modelPath, listPath, pkg, out string) error {
	m, err := readModel(modelPath)
	if err != nil {
		return err
	}
	list, err := os.ReadFile(listPath) //nolint:gosec // a developer's own argument
	if err != nil {
		return fmt.Errorf("read operations: %w", err)
	}
	source, err := generate(m, strings.Fields(string(list)), pkg)
	if err != nil {
		return err
	}
	if err := os.WriteFile(out, source, 0o644); err != nil { //nolint:gosec // source code is for everybody
		return fmt.Errorf("write shapes: %w", err)
	}
	return nil
}

// model is the part of a service model that we use.
type model struct {
	Metadata struct {
		APIVersion   string `json:"apiVersion"`
		ServiceID    string `json:"serviceId"`
		TargetPrefix string `json:"targetPrefix"`
	} `json:"metadata"`
	Operations map[string]modelOperation `json:"operations"`
	Shapes     map[string]modelShape     `json:"shapes"`
}

type modelOperation struct {
	Name   string     `json:"name"`
	Input  *shapeRef  `json:"input"`
	Output *shapeRef  `json:"output"`
	Errors []shapeRef `json:"errors"`
}

type shapeRef struct {
	Shape string `json:"shape"`
}

type modelShape struct {
	Type     string              `json:"type"`
	Members  map[string]shapeRef `json:"members"`
	Member   *shapeRef           `json:"member"`
	Key      *shapeRef           `json:"key"`
	Value    *shapeRef           `json:"value"`
	Required []string            `json:"required"`
	Enum     []string            `json:"enum"`
	Min      *json.Number        `json:"min"`
	Max      *json.Number        `json:"max"`
}

func readModel(path string) (*model, error) {
	data, err := os.ReadFile(path) //nolint:gosec // a developer's own argument
	if err != nil {
		return nil, fmt.Errorf("read model: %w", err)
	}
	if strings.HasSuffix(path, ".gz") {
		z, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			return nil, fmt.Errorf("unpack model %s: %w", path, err)
		}
		if data, err = io.ReadAll(z); err != nil {
			return nil, fmt.Errorf("unpack model %s: %w", path, err)
		}
	}
	var m model
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, fmt.Errorf("parse model %s: %w", path, err)
	}
	return &m, nil
}
