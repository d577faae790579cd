package runner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

// followPause is how often a followed log is looked at.
const followPause = 100 * time.Millisecond

// writeLogs writes the part of a log that the query names to w. With Follow it goes on until ended is closed and all
// was written, or ctx ends. A log that does not exist yet is empty.
func writeLogs(ctx context.Context, w io.Writer, path string, q LogQuery, ended <-chan struct{}) error {
	files, err := logFiles(path)
	if err != nil {
		return err
	}
	index, offset, err := logStart(files, q)
	if err != nil {
		return err
	}
	r := &logReader{path: path}
	defer r.close()
	for ; index < len(files); index++ {
		if err := r.open(files[index], offset); err != nil {
			return err
		}
		offset = 0
		if _, err := io.Copy(w, r.f); err != nil {
			return fmt.Errorf("send log: %w", err)
		}
	}
	if !q.Follow {
		return nil
	}
	return r.follow(ctx, w, ended)
}

// logStart finds the file and the offset in it where a query begins.
func logStart(files []string, q LogQuery) (index int, offset int64, err error) {
	last := len(files) - 1
	switch {
	case last < 0:
		return 0, 0, nil
	case q.Offset > 0:
		return last, q.Offset, nil
	case q.Tail == 0:
		return 0, 0, nil
	case q.Tail < 0:
		info, err := os.Stat(files[last])
		if err != nil {
			return 0, 0, fmt.Errorf("find log: %w", err)
		}
		return last, info.Size(), nil
	}
	want := q.Tail
	for index = last; index >= 0; index-- {
		found, offset, err := lastLinesOf(files[index], want)
		if err != nil || found == want {
			return index, offset, err
		}
		want -= found
	}
	return 0, 0, nil
}

// lastLinesOf finds where the last want lines of a file begin; found is smaller where it has fewer.
func lastLinesOf(path string, want int) (found int, offset int64, err error) {
	f, err := os.Open(path) //nolint:gosec // a log file of ours
	if err != nil {
		return 0, 0, fmt.Errorf("open log: %w", err)
	}
	defer func() { _ = f.Close() }()
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, 0, fmt.Errorf("read log: %w", err)
	}
	buf := make([]byte, chunkOfLog)
	size := end
	for end > 0 {
		n := min(end, int64(len(buf)))
		if _, err := f.ReadAt(buf[:n], end-n); err != nil {
			return 0, 0, fmt.Errorf("read log: %w", err)
		}
		for i := n - 1; i >= 0; i-- {
			if buf[i] != '\n' || end-n+i == size-1 {
				continue
			}
			if found++; found == want {
				return found, end - n + i + 1, nil
			}
		}
		end -= n
	}
	if size > 0 {
		found++
	}
	return found, 0, nil
}

const chunkOfLog = 32 << 10

// logReader reads a log that is being rotated.
type logReader struct {
	path string
	f    *os.File
}

func (r *logReader) open(path string, offset int64) error {
	f, err := os.Open(path) //nolint:gosec // a log file of ours
	if err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	r.close()
	r.f = f
	if offset > 0 {
		if _, err := f.Seek(offset, io.SeekStart); err != nil {
			return fmt.Errorf("read log: %w", err)
		}
	}
	return nil
}

func (r *logReader) close() {
	if r.f != nil {
		_ = r.f.Close()
		r.f = nil
	}
}

func (r *logReader) follow(ctx context.Context, w io.Writer, ended <-chan struct{}) error {
	t := time.NewTicker(followPause)
	defer t.Stop()
	for last := false; ; {
		if err := r.more(w); err != nil {
			return err
		}
		if last {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ended:
			last = true
		case <-t.C:
		}
	}
}

// more copies what was added since, over any number of rotations.
func (r *logReader) more(w io.Writer) error {
	for {
		next, err := r.successor()
		if err != nil {
			return err
		}
		if r.f != nil {
			// After the successor was seen to exist nothing is added to this one.
			if _, err := io.Copy(w, r.f); err != nil {
				return fmt.Errorf("send log: %w", err)
			}
		}
		if next == "" {
			return nil
		}
		if err := r.open(next, 0); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
}

// successor is the file that follows the open one; "" when it is the current one still.
func (r *logReader) successor() (string, error) {
	files, err := logFiles(r.path)
	if err != nil || len(files) == 0 {
		return "", err
	}
	if r.f == nil {
		return files[0], nil
	}
	mine, err := r.f.Stat()
	if err != nil {
		return "", fmt.Errorf("read log: %w", err)
	}
	for i, path := range files {
		info, err := os.Stat(path)
		if err != nil || !os.SameFile(mine, info) {
			continue
		}
		if i+1 < len(files) {
			return files[i+1], nil
		}
		return "", nil
	}
	return files[0], nil
}
