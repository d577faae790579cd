package lambdahook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// The variables by which Lambda tells a bootstrap where it is (developer guide, "Building a custom runtime").
const (
	runtimeAPI = "AWS_LAMBDA_RUNTIME_API"
	taskRoot   = "LAMBDA_TASK_ROOT"
)

const (
	maxEvent  = 7 << 20 // bytes; Lambda's own limit is 6 MB
	postLimit = 10 * time.Second
)

// InLambda reports whether a program that was started by this name is the bootstrap of a function.
func InLambda(program string, getenv func(string) string) bool {
	return filepath.Base(program) == bootstrapName && getenv(runtimeAPI) != ""
}

// Serve does the events of a function until ctx ends or Lambda's Runtime API goes away. out is the function's log.
func Serve(ctx context.Context, getenv func(string) string, out io.Writer) error {
	rt := &runtime{
		base:   (&url.URL{Scheme: "http", Host: getenv(runtimeAPI), Path: "/2018-06-01/runtime/"}).String(),
		client: &http.Client{Transport: &http.Transport{DisableCompression: true}},
	}
	defer rt.client.CloseIdleConnections()
	h, err := load(getenv, out)
	if err != nil {
		return errors.Join(err, rt.post(ctx, "init/error", failure{"Greengate.BadHook", err.Error()}))
	}
	for {
		if err := rt.serve(ctx, h); err != nil {
			if ctx.Err() != nil {
				return nil // the sandbox ends
			}
			return err
		}
	}
}

// load reads the settings beside the bootstrap.
func load(getenv func(string) string, out io.Writer) (*hook, error) {
	content, err := os.ReadFile(filepath.Join(getenv(taskRoot), settingsName))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w; greengate package hook puts it beside the bootstrap", settingsName, err)
	}
	settings, loaded, err := decodeSettings(content)
	if err != nil {
		return nil, err
	}
	return &hook{settings: settings, scenario: loaded, reporter: codedeploy{&http.Client{}, getenv}, getenv: getenv, out: out}, nil
}

// runtime is a client of Lambda's Runtime API.
type runtime struct {
	base   string
	client *http.Client
}

// failure is an error as the Runtime API takes it.
type failure struct {
	Type    string `json:"errorType"`
	Message string `json:"errorMessage"`
}

// serve waits for an event, which may take days, and does it.
func (rt *runtime) serve(ctx context.Context, h *hook) error {
	id, event, deadline, err := rt.next(ctx)
	if err != nil {
		return fmt.Errorf("get event: %w", err)
	}
	limited, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	own := "invocation/" + url.PathEscape(id) + "/"
	answer, err := h.handle(limited, event, deadline)
	if err != nil {
		return rt.post(ctx, own+"error", failure{"Greengate.HookFailed", err.Error()})
	}
	return rt.post(ctx, own+"response", json.RawMessage(answer))
}

func (rt *runtime) next(ctx context.Context) (id string, event []byte, deadline time.Time, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, rt.base+"invocation/next", nil)
	if err != nil {
		return "", nil, deadline, err
	}
	answer, err := rt.client.Do(r)
	if err != nil {
		return "", nil, deadline, err
	}
	event, err = io.ReadAll(io.LimitReader(answer.Body, maxEvent))
	if err := errors.Join(err, answer.Body.Close()); err != nil {
		return "", nil, deadline, err
	}
	id = answer.Header.Get("Lambda-Runtime-Aws-Request-Id")
	ms, err := strconv.ParseInt(answer.Header.Get("Lambda-Runtime-Deadline-Ms"), 10, 64)
	if answer.StatusCode != http.StatusOK || id == "" || err != nil {
		return "", nil, deadline, fmt.Errorf("the runtime API answered %s without an id or a deadline", answer.Status)
	}
	return id, event, time.UnixMilli(ms), nil
}

func (rt *runtime) post(ctx context.Context, path string, document any) error {
	body, err := json.Marshal(document)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, postLimit)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, rt.base+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("make answer: %w", err)
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := rt.client.Do(r)
	if err != nil {
		return fmt.Errorf("send answer: %w", err)
	}
	if err := answer.Body.Close(); err != nil {
		return fmt.Errorf("send answer: %w", err)
	}
	if answer.StatusCode/100 != 2 {
		return fmt.Errorf("the runtime API answered %s to %s", answer.Status, path)
	}
	return nil
}
