package config

import (
	_ "embed"
	"strings"

	"greengate/internal/durable"
)

//go:embed greengate.yaml.tmpl
var serviceTemplate string

// Template is a commented service file for a service of that name. It loads as it is.
func Template(name string) []byte {
	return []byte(strings.ReplaceAll(serviceTemplate, "@NAME@", name))
}

// WriteTemplate writes Template(name) to path, which must not exist: fs.ErrExist where it does.
func WriteTemplate(path, name string) error {
	return durable.Create(path, Template(name), 0o644)
}

// ServiceName makes the name of a service out of any text, such as the name of a folder.
func ServiceName(text string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-', r == '_':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, text)
	name = strings.Trim(name, "-")
	const most = 63
	if len(name) > most {
		name = strings.Trim(name[:most], "-")
	}
	if name == "" {
		return "service"
	}
	return name
}
