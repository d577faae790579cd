package stories

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"syscall"
)

// api sends one request to the API as a stranger would: KEYS is none, or an Authorization header; an action without a
// dot goes to Greengate's own. BODY is a text, or @SIZE for so many bytes of nothing.
func (s *story) api(_ bool, args []string) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), patience)
	defer cancel()
	var body io.Reader = strings.NewReader(args[2])
	if size, ok := strings.CutPrefix(args[2], "@"); ok {
		body = io.LimitReader(zeros{}, int64(s.number(size)))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.getenv("URL")+"/", body)
	s.must(err)
	req.Header.Set("X-Amz-Target", args[1])
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	if args[0] != "none" {
		req.Header.Set("Authorization", args[0])
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		s.stdout = "broken: " + err.Error()
		return
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	s.stdout, s.stderr = res.Status+"\n"+string(text), ""
	if err != nil {
		s.stdout += "\nbroken: " + err.Error()
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// tmpfs mounts a small file system: tmpfs DIR SIZE.
func (s *story) tmpfs(_ bool, args []string) {
	s.Helper()
	dir := s.path(args[0])
	s.must(os.MkdirAll(dir, 0o755))
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+args[1]+",mode=0755"); err != nil {
		s.Skipf("it needs a file system of its own: mount tmpfs: %v", err)
	}
	s.mounts = append(s.mounts, dir)
}

// fill writes a file until its file system is full.
func (s *story) fill(_ bool, args []string) {
	s.Helper()
	f, err := os.Create(s.path(args[0]))
	s.must(err)
	defer f.Close()
	for _, size := range []int{1 << 20, 4 << 10, 1} {
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, size))
		}
		if !errors.Is(err, syscall.ENOSPC) {
			s.Fatal(err)
		}
	}
}
