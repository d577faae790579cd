package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"greengate/internal/deploy"
)

// DefaultFile is the name of a service file where none is given.
const DefaultFile = "greengate.yaml"

// LoadService reads the service that the file at path describes. Its paths are made absolute against the file's folder.
// What is wrong with the content comes as a *FileError with every fault; a file that cannot be read comes as the error
// of the operating system.
func LoadService(path string) (deploy.Service, error) {
	content, err := readBounded(path, maxFileSize)
	if err != nil {
		return deploy.Service{}, fmt.Errorf("read service file: %w", err)
	}
	folder, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return deploy.Service{}, fmt.Errorf("resolve folder of %s: %w", path, err)
	}
	s, faults := parseService(content, folder, true)
	if err := fileError(path, faults); err != nil {
		return deploy.Service{}, err
	}
	return s, nil
}

// readBounded reads a file, and one byte more than the limit of one that is too large.
func readBounded(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path) //nolint:gosec // the user names the file to read
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(io.LimitReader(f, limit+1))
	return content, errors.Join(err, f.Close())
}

// parseService decodes and validates content. With disk it also checks what the service names on this machine.
func parseService(content []byte, folder string, disk bool) (deploy.Service, []Fault) {
	tree, faults := parseYAML(content)
	if tree == nil {
		return deploy.Service{}, faults
	}
	d := newDecoder(folder, tree)
	d.faults = faults
	s := d.service(tree)
	if tree.kind != kindMapping {
		return s, d.faults // everything else would seem to be missing
	}
	d.nameHooks(&s)
	if disk {
		d.checkDisk(&s)
	}
	d.validate(s)
	return s, d.faults
}

// validate adds the faults that the domain finds, save those that follow from a fault that is already known.
func (d *decoder) validate(s deploy.Service) {
	known := d.faults
	for _, f := range s.Validate() {
		field := d.written(f.Field)
		follows := (&decoder{faults: known, excused: d.excused}).blamed(field)
		if f.Field == "promote" { // it counts hooks and smoke checks
			follows = follows || d.blamed("hooks") || d.blamed("smoke")
		}
		if !follows {
			d.fault(field, "%s", f.Message)
		}
	}
}

// written turns a field path of the domain into the one that this file has for it.
func (d *decoder) written(field string) string {
	first := func(candidates ...string) string {
		for _, c := range candidates {
			if _, ok := d.at[c]; ok {
				return c
			}
		}
		return candidates[len(candidates)-1]
	}
	switch field {
	case "traffic.percent":
		return first("traffic.canary", "traffic.linear", "traffic")
	case "health.type":
		return "health"
	case "promote":
		return first("promote.policy", "promote")
	case "ready_limit":
		return "promote.limit"
	case "bake":
		return first("bake.for", "bake")
	case "max_error_rate":
		return "bake.max_error_rate"
	}
	if command, ok := strings.CutSuffix(field, "[0]"); ok {
		return first(field, command) // a command may also be one text
	}
	return field
}
