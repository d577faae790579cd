package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("shapesgen: ")
	service := flag.String("service", "", "service and version of a model that botocore installed, ecs/2014-11-13")
	modelPath := flag.String("model", "", "service model, JSON or gzipped JSON, instead of -service")
	listPath := flag.String("operations", "operations.txt", "file with one operation name a line")
	pkg := flag.String("package", "", "name of the Go package to write")
	out := flag.String("out", "", "file to write, PACKAGE_gen.go where it is not given")
	flag.Parse()
	if *pkg == "" || (*service == "") == (*modelPath == "") {
		log.Fatal("-package and one of -service and -model are needed")
	}
	if *out == "" {
		*out = *pkg + "_gen.go"
	}
	if *service != "" {
		dir, _, err := botocore()
		if err != nil {
			log.Fatal(err)
		}
		*modelPath = servicePath(dir, *service)
	}
	if err := run(*modelPath, *listPath, *pkg, *out); err != nil {
		log.Fatal(err)
	}
}

// botocore returns the folder and the version of the botocore that python3 finds.
func botocore() (dir, version string, err error) {
	//nolint:noctx // a generator is stopped with its process
	out, err := exec.Command("python3", "-c", "import botocore,os;print(os.path.dirname(botocore.__file__), botocore.__version__)").Output()
	if err != nil {
		return "", "", fmt.Errorf("find botocore: %w", err)
	}
	dir, version, _ = strings.Cut(strings.TrimSpace(string(out)), " ")
	return dir, version, nil
}

func servicePath(dir, service string) string {
	return filepath.Join(dir, "data", filepath.FromSlash(service), "service-2.json.gz")
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
