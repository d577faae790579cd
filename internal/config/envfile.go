package config

import (
	"fmt"
	"strings"
)

// maxEnvFile bounds an env_file, in bytes.
const maxEnvFile = 1 << 20

// ParseEnvFile reads NAME=VALUE lines. Blank lines and those that begin with # are skipped, a leading "export " is
// allowed. A value may be in single quotes (taken as it is) or double quotes (\n, \t, \", \\ and \$ are escapes);
// quoted values end on their line. Nothing is expanded. Later lines win. All faults are returned at once.
func ParseEnvFile(content []byte) (map[string]string, []Fault) {
	if len(content) > maxEnvFile {
		return nil, []Fault{{1, 1, "", fmt.Sprintf("the file has %d bytes; the limit is %d", len(content), maxEnvFile)}}
	}
	env := map[string]string{}
	var faults []Fault
	for i, line := range strings.Split(string(content), "\n") {
		name, value, err := parseEnvLine(strings.TrimSpace(line))
		if err != nil {
			faults = append(faults, Fault{i + 1, 1, name, err.Error()})
		} else if name != "" {
			env[name] = value
		}
	}
	return env, faults
}

func parseEnvLine(line string) (name, value string, err error) {
	if line == "" || line[0] == '#' {
		return "", "", nil
	}
	if strings.ContainsRune(line, 0) {
		return "", "", fmt.Errorf("the line holds a NUL character")
	}
	line = strings.TrimPrefix(line, "export ")
	name, value, ok := strings.Cut(line, "=")
	name = strings.TrimSpace(name)
	if !ok {
		return "", "", fmt.Errorf("the line is not NAME=VALUE")
	}
	if name == "" || strings.ContainsAny(name, " \t\"'") {
		return "", "", fmt.Errorf("%q is not the name of a variable", name)
	}
	value, err = envValue(strings.TrimSpace(value))
	return name, value, err
}

func envValue(v string) (string, error) {
	if v == "" || (v[0] != '\'' && v[0] != '"') {
		before, _, _ := strings.Cut(v, " #")
		return strings.TrimSpace(before), nil
	}
	quote, rest := v[0], v[1:]
	var out strings.Builder
	for i := 0; i < len(rest); i++ {
		switch c := rest[i]; {
		case c == quote:
			tail := strings.TrimSpace(rest[i+1:])
			if tail != "" && tail[0] != '#' {
				return "", fmt.Errorf("there is text after the closing quote")
			}
			return out.String(), nil
		case c == '\\' && quote == '"' && i+1 < len(rest):
			i++
			out.WriteString(unescape(rest[i]))
		default:
			out.WriteByte(c)
		}
	}
	return "", fmt.Errorf("the quote %c is not closed", quote)
}

func unescape(c byte) string {
	switch c {
	case 'n':
		return "\n"
	case 't':
		return "\t"
	case '"', '\\', '$':
		return string(c)
	}
	return "\\" + string(c)
}
