package sandbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// runtimeMain is a function of runtime "provided": it speaks the Runtime API itself. The event says what to do.
func runtimeMain(args []string) error {
	base := "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + runtimePrefix //nolint:forbidigo // a function is configured by its environment
	if len(args) > 0 && args[0] == "bad-init" {
		_, err := send(base+"init/error", []byte(`{"errorType":"Go.Bad","errorMessage":"no config","stackTrace":[{"path":"main.go","line":7}]}`))
		return err
	}
	for {
		resp, err := http.Get(base + "invocation/next")
		if err != nil {
			return err
		}
		event, err := io.ReadAll(resp.Body)
		if err != nil {
			return err
		}
		_ = resp.Body.Close()
		id := resp.Header.Get("Lambda-Runtime-Aws-Request-Id")
		if err := serveEvent(base, id, event, resp.Header); err != nil {
			return err
		}
	}
}

func serveEvent(base, id string, event []byte, header http.Header) error {
	var e struct{ Do, File string }
	if err := json.Unmarshal(event, &e); err != nil {
		return err
	}
	own := base + "invocation/" + id + "/"
	switch e.Do {
	case "error":
		_, err := send(own+"error", []byte(`{"errorType":"Custom","errorMessage":"boom"}`))
		return err
	case "wait": // for a file, then answers once
		if err := os.WriteFile(e.File+".started", []byte(id), 0o600); err != nil {
			return err
		}
		for _, err := os.Stat(e.File); err != nil; _, err = os.Stat(e.File) {
			time.Sleep(5 * time.Millisecond) // polls
		}
	case "headers":
		data, _ := json.Marshal(header)
		_, err := send(own+"response", data)
		return err
	case "next": // asks again without an answer
		resp, err := http.Get(base + "invocation/next")
		if err != nil {
			return err
		}
		_ = resp.Body.Close()
		time.Sleep(time.Minute) // is killed
	case "protocol":
		report, err := protocol(base, id)
		if err != nil {
			return err
		}
		_, err = send(own+"response", report)
		return err
	}
	_, err := send(own+"response", event)
	return err
}

// protocol does what a runtime must not do and reports the answers.
func protocol(base, id string) ([]byte, error) {
	got := map[string]string{}
	calls := map[string]string{
		"other id":      base + "invocation/other/response",
		"other error":   base + "invocation/other/error",
		"late init":     base + "init/error",
		"unknown":       base + "what",
		"dots":          base + "invocation/../../x",
		"no method":     base + "invocation/next",
		"no Prefix":     strings.Replace(base, "2018-06-01", "2020-01-01", 1) + "extension/register",
		"escaped slash": base + "invocation/" + id + "%2Fx/response",
	}
	for name, target := range calls {
		answer, err := send(target, []byte(`{}`))
		if err != nil {
			return nil, err
		}
		got[name] = answer
	}
	req, err := http.NewRequest(http.MethodPost, base+"invocation/"+id+"/response", strings.NewReader("{}"))
	if err != nil {
		return nil, err
	}
	req.Host = "attacker.example"
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	got["foreign host"] = resp.Status
	_ = resp.Body.Close()
	return json.Marshal(got)
}

func send(target string, body []byte) (string, error) {
	resp, err := http.Post(target, "application/json", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	return fmt.Sprintf("%d %s", resp.StatusCode, strings.TrimSpace(string(text))), err
}

func (w *world) provided(args string) Function {
	self, err := os.Executable()
	if err != nil {
		w.t.Fatal(err)
	}
	w.write("bootstrap", "#!/bin/sh\nexec '"+self+"' role-runtime "+args+"\n")
	return w.function("provided.al2023", "anything")
}

func TestProvided(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	f := w.provided("")
	r := w.run(f, `{"Do":"echo"}`)
	want(t, r, StateSucceeded, "", "")
	if string(r.Payload) != `{"Do":"echo"}` || !r.ColdStart || r.MaxMemoryMB <= 0 {
		t.Errorf("got %+v", r)
	}
	want(t, w.run(f, `{"Do":"error"}`), StateFailed, "Custom", "boom")
	var h http.Header
	r = w.run(f, `{"Do":"headers"}`)
	if err := json.Unmarshal(r.Payload, &h); err != nil {
		t.Fatal(err)
	}
	if h.Get("Lambda-Runtime-Invoked-Function-Arn") != "arn:aws:lambda:us-east-1:000000000000:function:hook" ||
		h.Get("Lambda-Runtime-Aws-Request-Id") != r.ID || !strings.HasPrefix(h.Get("Lambda-Runtime-Trace-Id"), "Root=1-") ||
		len(h.Get("Lambda-Runtime-Deadline-Ms")) != 13 {
		t.Errorf("headers: %v", h)
	}
}

func TestProvided_initError(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	r := w.run(w.provided("bad-init"), "{}")
	want(t, r, StateFailed, "Go.Bad", "no config")
	if len(r.StackTrace) != 1 || !strings.Contains(r.StackTrace[0], "main.go") {
		t.Errorf("stack trace: %q", r.StackTrace)
	}
}

func TestRuntimeAPI_refusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	r := w.run(w.provided(""), `{"Do":"protocol"}`)
	want(t, r, StateSucceeded, "", "")
	var got map[string]string
	if err := json.Unmarshal(r.Payload, &got); err != nil {
		t.Fatal(err)
	}
	for name, status := range map[string]string{
		"other id": "400", "other error": "400", "late init": "403", "unknown": "404", "dots": "404", "no method": "405", "no Prefix": "404",
		"escaped slash": "400", "foreign host": "403",
	} {
		if !strings.HasPrefix(got[name], status) {
			t.Errorf("%s: got %q, want %s", name, got[name], status)
		}
	}
	if !strings.Contains(got["other id"], `"errorType":"InvalidRequestID"`) {
		t.Errorf("other id: %s", got["other id"])
	}
}

// A runtime that asks for the next event without answering may or may not have done its work.
func TestRuntimeAPI_nextWithoutAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	f := w.provided("")
	want(t, w.run(f, `{"Do":"next"}`), StateUnknown, ErrorTypeUnknown, "without answering")
	if r := w.run(f, `{"Do":"echo"}`); !r.ColdStart {
		t.Error("its sandbox was used again")
	}
}
