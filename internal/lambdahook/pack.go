package lambdahook

import (
	"archive/zip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"greengate/internal/scenario"
)

const (
	bootstrapName = "bootstrap" // Lambda's own name for it
	settingsName  = "hook.json"
	formatVersion = 1
)

// Settings are what a function knows of its hook; they lie in the zip. They hold no secret: those come from the
// environment of the function.
type Settings struct {
	Version int `json:"version"`
	// File is the main one of Files.
	File  string            `json:"file"`
	Files map[string][]byte `json:"files"`
	// BaseURL is used where the environment has neither TEST_URL nor BASE_URL.
	BaseURL string            `json:"baseUrl,omitempty"`
	Vars    map[string]string `json:"vars,omitempty"`
	// Allow is the strongest effect of a step. Empty: read once production traffic has moved, where the event says so, else
	// everything.
	Allow   scenario.Effect  `json:"allow,omitempty"`
	Release scenario.Release `json:"release"`
}

// Write writes the zip of a function: the program as its bootstrap, and the settings. The same input makes the same bytes.
func Write(w io.Writer, bootstrap io.Reader, s Settings) error {
	s.Version = formatVersion
	settings, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("encode settings: %w", err)
	}
	z := zip.NewWriter(w)
	program, err := create(z, bootstrapName, 0o755)
	if err == nil {
		_, err = io.Copy(program, bootstrap)
	}
	if err != nil {
		return fmt.Errorf("write bootstrap: %w", err)
	}
	file, err := create(z, settingsName, 0o644)
	if err == nil {
		_, err = file.Write(append(settings, '\n'))
	}
	if err := errors.Join(err, z.Close()); err != nil {
		return fmt.Errorf("write zip: %w", err)
	}
	return nil
}

// create begins a file whose time is always the same, the first that a zip can say.
func create(z *zip.Writer, name string, mode fs.FileMode) (io.Writer, error) {
	h := &zip.FileHeader{Name: name, Method: zip.Deflate, Modified: time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)}
	h.SetMode(mode)
	return z.CreateHeader(h)
}

// decodeSettings reads settings, and loads their scenario.
func decodeSettings(content []byte) (Settings, *scenario.Scenario, error) {
	var s Settings
	if err := json.Unmarshal(content, &s); err != nil {
		return s, nil, fmt.Errorf("decode %s: %w", settingsName, err)
	}
	if s.Version != formatVersion {
		return s, nil, fmt.Errorf("decode %s: it has version %d, this program reads version %d", settingsName, s.Version, formatVersion)
	}
	loaded, err := scenario.LoadFiles(s.File, s.Files)
	if err != nil {
		return s, nil, fmt.Errorf("load scenario: %w", err)
	}
	return s, loaded, nil
}
