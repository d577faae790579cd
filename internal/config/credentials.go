package config

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"greengate/internal/durable"
)

// Names of the files in a data folder by which clients find the controller.
const (
	credentialsFile = "credentials"
	endpointFile    = "endpoint"
)

const maxCredentialsFile = 64 << 10

// Credentials are the keys of a controller, and where it is. They print without the secrets.
type Credentials struct {
	AccessKeyID     string
	SecretAccessKey string
	SessionToken    string // of short-lived keys; empty in a data folder
	Region          string
	Endpoint        string // URL
}

// String shows no secret.
func (c Credentials) String() string {
	return fmt.Sprintf("credentials of %s for %s", c.AccessKeyID, c.Endpoint)
}

// GoString shows no secret.
func (c Credentials) GoString() string { return c.String() }

// LogValue shows no secret.
func (c Credentials) LogValue() slog.Value { return slog.StringValue(c.String()) }

// WriteCredentials writes DIR/credentials (mode 0600) in the form that AWS tools read when AWS_SHARED_CREDENTIALS_FILE
// names it, and the endpoint to DIR/endpoint. Both are replaced atomically.
func WriteCredentials(dir string, c Credentials) error {
	for _, v := range []string{c.AccessKeyID, c.SecretAccessKey, c.Region, c.Endpoint} {
		if v == "" || strings.ContainsAny(v, " \t\r\n#;") {
			return errors.New("write credentials: a value is empty or holds a blank, '#' or ';'")
		}
	}
	content := fmt.Sprintf(`# Written by greengate serve. AWS tools use it with AWS_SHARED_CREDENTIALS_FILE=%s
[default]
aws_access_key_id = %s
aws_secret_access_key = %s
region = %s
endpoint_url = %s
`, shellQuote(filepath.Join(dir, credentialsFile)), c.AccessKeyID, c.SecretAccessKey, c.Region, c.Endpoint)
	if err := durable.WriteFile(filepath.Join(dir, credentialsFile), []byte(content), 0o600); err != nil {
		return err
	}
	return durable.WriteFile(filepath.Join(dir, endpointFile), []byte(c.Endpoint+"\n"), 0o644)
}

// shellQuote puts a path that is not plain into quotes, and takes line breaks out: it stands in a comment.
func shellQuote(s string) string {
	return "'" + strings.NewReplacer("\n", " ", "\r", " ", "'", `'\''`).Replace(s) + "'"
}

// ReadCredentials reads what WriteCredentials wrote. Where there is none, the error is fs.ErrNotExist.
func ReadCredentials(dir string) (Credentials, error) {
	path := filepath.Join(dir, credentialsFile)
	content, err := readBounded(path, maxCredentialsFile)
	if err != nil {
		return Credentials{}, fmt.Errorf("read credentials: %w", err)
	}
	c, err := parseCredentials(content)
	if err != nil {
		return Credentials{}, fmt.Errorf("read credentials %s: %w", path, err)
	}
	// The endpoint file is the later one: it is what the running controller said.
	if url, err := os.ReadFile(filepath.Join(dir, endpointFile)); err == nil && len(bytes.TrimSpace(url)) > 0 { //nolint:gosec // a fixed name in the data folder
		c.Endpoint = string(bytes.TrimSpace(url))
	}
	if c.Endpoint == "" {
		return Credentials{}, fmt.Errorf("read credentials %s: no endpoint is recorded; start greengate serve with this data folder again", path)
	}
	return c, nil
}

// parseCredentials reads the [default] profile of an AWS credentials file. Unknown keys and other profiles are skipped,
// as AWS tools do.
func parseCredentials(content []byte) (Credentials, error) {
	if len(content) > maxCredentialsFile {
		return Credentials{}, fmt.Errorf("it has more than %d bytes", maxCredentialsFile)
	}
	var c Credentials
	keys := map[string]*string{
		"aws_access_key_id": &c.AccessKeyID, "aws_secret_access_key": &c.SecretAccessKey,
		"aws_session_token": &c.SessionToken, "region": &c.Region, "endpoint_url": &c.Endpoint,
	}
	profile := ""
	for i, line := range strings.Split(string(content), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		if name, ok := strings.CutPrefix(line, "["); ok {
			name, ok = strings.CutSuffix(name, "]")
			if !ok {
				return Credentials{}, fmt.Errorf("line %d: a [ is not closed", i+1)
			}
			profile = strings.TrimSpace(name)
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok {
			return Credentials{}, fmt.Errorf("line %d is not KEY = VALUE", i+1)
		}
		if to := keys[strings.TrimSpace(key)]; to != nil && profile == "default" {
			*to = strings.TrimSpace(value)
		}
	}
	if c.AccessKeyID == "" || c.SecretAccessKey == "" {
		return Credentials{}, errors.New("the profile [default] has no aws_access_key_id and aws_secret_access_key")
	}
	return c, nil
}
