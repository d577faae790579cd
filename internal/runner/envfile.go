package runner

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// maxEnvFile bounds an env file; the kernel's limit for a whole environment is near it.
const maxEnvFile = 1 << 20

// readEnvFile reads an env file. Errors name the file and, where one is at fault, the line.
func readEnvFile(path string) (map[string]string, error) {
	f, err := os.Open(path) //nolint:gosec // the caller's file is what is asked for
	if err != nil {
		return nil, fmt.Errorf("open env file: %w", err)
	}
	defer func() { _ = f.Close() }()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, fmt.Errorf("open env file %s: not a regular file", path)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxEnvFile+1))
	if err != nil {
		return nil, fmt.Errorf("read env file: %w", err)
	}
	if len(data) > maxEnvFile {
		return nil, fmt.Errorf("env file %s: larger than %d bytes", path, maxEnvFile)
	}
	return parseEnvFile(path, data)
}

// parseEnvFile parses KEY=VALUE lines. Blank lines and lines that begin with # are skipped, an "export " before the key
// is allowed, and a value may be wholly in single or double quotes (which are taken off; nothing else is expanded, so
// # inside a value is part of it). The last of two lines with the same key wins. All faulty lines are reported.
func parseEnvFile(name string, data []byte) (map[string]string, error) {
	env := map[string]string{}
	var faults []error
	sc := bufio.NewScanner(bytes.NewReader(data))
	sc.Buffer(nil, maxEnvFile+1)
	for n := 1; sc.Scan(); n++ {
		line := strings.TrimSpace(strings.TrimSuffix(sc.Text(), "\r"))
		if n == 1 {
			line = strings.TrimPrefix(line, "\ufeff")
		}
		if line == "" || line[0] == '#' {
			continue
		}
		key, value, err := parseEnvLine(line)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s:%d: %w", name, n, err))
			continue
		}
		env[key] = value
	}
	if err := sc.Err(); err != nil {
		faults = append(faults, fmt.Errorf("%s: %w", name, err))
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return env, nil
}

func parseEnvLine(line string) (key, value string, err error) {
	if rest, ok := strings.CutPrefix(line, "export "); ok {
		line = strings.TrimLeft(rest, " \t")
	}
	key, value, ok := strings.Cut(line, "=")
	if !ok {
		return "", "", errors.New("no '=' in line; write KEY=VALUE")
	}
	key = strings.TrimRight(key, " \t")
	if !validEnvKey(key) {
		return "", "", fmt.Errorf("bad name %.40q; use letters, digits, '_', '.' and '-'", key)
	}
	value = strings.TrimLeft(value, " \t")
	if strings.IndexByte(value, 0) >= 0 {
		return "", "", fmt.Errorf("value of %s holds a NUL byte", key)
	}
	if value == "" || (value[0] != '"' && value[0] != '\'') {
		return key, value, nil
	}
	if len(value) < 2 || value[len(value)-1] != value[0] {
		return "", "", fmt.Errorf("value of %s begins with a quote that does not end on this line", key)
	}
	return key, value[1 : len(value)-1], nil
}

// validEnvKey accepts the names that shells and container engines use.
func validEnvKey(key string) bool {
	if key == "" || (key[0] >= '0' && key[0] <= '9') {
		return false
	}
	for _, c := range []byte(key) {
		switch {
		case c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '_', c == '.', c == '-':
		default:
			return false
		}
	}
	return true
}
