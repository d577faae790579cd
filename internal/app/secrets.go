package app

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"greengate/internal/deploy"
	"greengate/internal/durable"
)

const masterKeySize = 32

// masterKey reads the installation's key, or makes it.
func masterKey(path string) ([]byte, error) {
	data, err := os.ReadFile(path) //nolint:gosec // a path in our own data folder
	if errors.Is(err, fs.ErrNotExist) {
		key := make([]byte, masterKeySize)
		_, _ = rand.Read(key) // never fails (crypto/rand)
		if err := durable.WriteFile(path, key, 0o600); err != nil {
			return nil, fmt.Errorf("write master key: %w", err)
		}
		return key, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read master key: %w", err)
	}
	if len(data) != masterKeySize {
		return nil, fmt.Errorf("read master key: %s has %d bytes instead of %d; restore it, or remove it to make a new one (running hooks then cannot report, and the access keys of users are lost)", path, len(data), masterKeySize)
	}
	return data, nil
}

// executionToken is what a hook presents when it reports: which effect it is, and a code that only
// this installation can make. It is the same for the same effect, so nothing needs to be stored.
type executionToken struct {
	Effect string `json:"effect"`
	MAC    []byte `json:"mac"`
}

func executionMAC(key []byte, effect string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte("greengate hook execution v1\n" + effect))
	return h.Sum(nil)
}

func executionID(key []byte, effect string) string {
	data, err := json.Marshal(executionToken{Effect: effect, MAC: executionMAC(key, effect)})
	if err != nil { // strings and bytes always marshal
		panic(err)
	}
	return base64.StdEncoding.EncodeToString(data)
}

// parseExecutionID gives the deployment and the sequence number that an execution id stands for.
func parseExecutionID(key []byte, id string) (deployment string, seq int64, err error) {
	unknown := deploy.Errorf(deploy.CodeHookUnknown, "the lifecycle event hook execution id was not given out here")
	data, err := base64.StdEncoding.DecodeString(id)
	if err != nil {
		return "", 0, unknown
	}
	var t executionToken
	if err := json.Unmarshal(data, &t); err != nil {
		return "", 0, unknown
	}
	if !hmac.Equal(t.MAC, executionMAC(key, t.Effect)) {
		return "", 0, unknown
	}
	deployment, n, ok := strings.Cut(t.Effect, "/")
	seq, err = strconv.ParseInt(n, 10, 64)
	if !ok || err != nil {
		return "", 0, unknown
	}
	return deployment, seq, nil
}

const idAlphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"

// newDeploymentID draws an id of the form that clients look for, d- and nine upper-case alphanumerics.
func newDeploymentID() string { return "d-" + randomText(9, idAlphabet) }

func newTaskSetID(service string) string {
	return service + "-" + randomText(8, "0123456789abcdefghjkmnpqrstvwxyz")
}

func randomText(n int, alphabet string) string {
	out := make([]byte, 0, n)
	buf := make([]byte, 1)
	limit := 256 - 256%len(alphabet) // what lies above would favour the first letters
	for len(out) < n {
		_, _ = rand.Read(buf) // never fails (crypto/rand)
		if int(buf[0]) < limit {
			out = append(out, alphabet[int(buf[0])%len(alphabet)])
		}
	}
	return string(out)
}
