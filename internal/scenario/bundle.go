package scenario

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// maxUnpacked bounds the files of a bundle in bytes.
const maxUnpacked = 32 << 20

// Pack makes one text of the files of a scenario.
func Pack(files map[string][]byte) (string, error) {
	content, err := json.Marshal(files)
	if err != nil {
		return "", fmt.Errorf("encode files: %w", err)
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err = z.Write(content)
	if err := errors.Join(err, z.Close()); err != nil {
		return "", fmt.Errorf("pack files: %w", err)
	}
	return base64.StdEncoding.EncodeToString(b.Bytes()), nil
}

// Unpack is the way back from Pack.
func Unpack(bundle string) (map[string][]byte, error) {
	packed, err := base64.StdEncoding.DecodeString(bundle)
	if err != nil {
		return nil, fmt.Errorf("decode bundle: %w", err)
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("unpack bundle: %w", err)
	}
	content, err := io.ReadAll(io.LimitReader(z, maxUnpacked+1))
	if err != nil {
		return nil, fmt.Errorf("unpack bundle: %w", err)
	}
	if len(content) > maxUnpacked {
		return nil, fmt.Errorf("unpack bundle: it has more than %d bytes", maxUnpacked)
	}
	var files map[string][]byte
	if err := json.Unmarshal(content, &files); err != nil {
		return nil, fmt.Errorf("decode files: %w", err)
	}
	return files, nil
}

// Refused says which step may not run where only effects up to allow are allowed; nil: all may.
func (s *Scenario) Refused(allow Effect) error {
	for _, list := range [][]*step{s.setup, s.steps, s.cleanup} {
		if st := refused(list, allow); st != nil {
			return fmt.Errorf("%s:%d:%d: step %q has the effect %s, and only %s is allowed", st.file, st.at.line, st.at.column, st.name, st.effect, allow)
		}
	}
	return nil
}

// CheckVars says whether the scenario can run with these values of its vars.
func (s *Scenario) CheckVars(given map[string]string) error {
	var faults []error
	for name := range given {
		if !slices.Contains(s.Vars(), name) {
			faults = append(faults, fmt.Errorf("the scenario has no var %q%s", name, didYouMean(name, s.Vars())))
		}
	}
	for _, v := range s.vars {
		if _, ok := given[v.name]; v.required && !ok {
			faults = append(faults, fmt.Errorf("the var %s has no value", v.name))
		}
	}
	return errors.Join(faults...)
}
