// Package objects keeps the objects of buckets as files. It knows nobody: names come in, bytes go out.
//
// An object is two files: its bytes under a name of their own, and a small JSON file that describes it and names them.
// The description is written last, to a temporary name, and renamed, so an object is there whole or as it was before,
// whatever is killed in between. Keys never become file names: a folder holds digests of keys.
package objects

import (
	"crypto/md5" //nolint:gosec // the ETag of S3 is an MD5; nothing is secured by it
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"greengate/internal/durable"
)

// ErrNotFound says that there is no such object.
var ErrNotFound = errors.New("no such object")

// Info describes an object.
type Info struct {
	Key      string            `json:"key"`
	Size     int64             `json:"size"`
	ETag     string            `json:"etag"` // hex MD5, without quotes
	Modified time.Time         `json:"modified"`
	Type     string            `json:"type,omitempty"`
	Encoding string            `json:"encoding,omitempty"`
	Cache    string            `json:"cache,omitempty"`
	Metadata map[string]string `json:"metadata,omitempty"`
	// File is where the bytes are.
	File string `json:"file"`
}

// Store keeps objects below a folder. It is safe for concurrent use by one process.
type Store struct {
	dir string
	now func() time.Time

	mu sync.RWMutex // guards which file a description names
}

// New returns a store below dir, which is made when it is needed.
func New(dir string, now func() time.Time) *Store { return &Store{dir: dir, now: now} }

// bucketDir is the folder of a bucket; the name is not trusted.
func (s *Store) bucketDir(bucket string) string {
	sum := sha256.Sum256([]byte(bucket))
	return filepath.Join(s.dir, hex.EncodeToString(sum[:16]))
}

func (s *Store) infoFile(bucket, key string) string {
	sum := sha256.Sum256([]byte(key))
	return filepath.Join(s.bucketDir(bucket), hex.EncodeToString(sum[:])+".json")
}

// Put stores an object of what body gives to its end. After an error, also one of body, what was there before is there.
func (s *Store) Put(bucket string, info Info, body io.Reader) (Info, error) {
	dir := s.bucketDir(bucket)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return Info{}, fmt.Errorf("make folder of bucket: %w", err)
	}
	data, err := os.CreateTemp(dir, "data-")
	if err != nil {
		return Info{}, fmt.Errorf("make object: %w", err)
	}
	sum := md5.New() //nolint:gosec // see above
	n, err := io.Copy(io.MultiWriter(data, sum), body)
	if err == nil {
		err = data.Sync()
	}
	if err = errors.Join(err, data.Close()); err != nil {
		return Info{}, errors.Join(fmt.Errorf("write object: %w", err), os.Remove(data.Name()))
	}
	info.Size, info.ETag, info.Modified, info.File = n, hex.EncodeToString(sum.Sum(nil)), s.now().UTC().Truncate(time.Second), filepath.Base(data.Name())
	if err := s.describe(bucket, info); err != nil {
		return Info{}, errors.Join(err, os.Remove(data.Name()))
	}
	return info, nil
}

// describe makes info what the key names, and removes the bytes that it named before.
func (s *Store) describe(bucket string, info Info) error {
	text, err := json.Marshal(info)
	if err != nil {
		return fmt.Errorf("encode object: %w", err)
	}
	path := s.infoFile(bucket, info.Key)
	temp, err := durable.Stage(path, text, 0o600)
	if err != nil {
		return fmt.Errorf("describe object: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old, oldErr := s.info(bucket, info.Key)
	if err := os.Rename(temp, path); err != nil {
		return errors.Join(fmt.Errorf("describe object: %w", err), os.Remove(temp))
	}
	if oldErr == nil {
		_ = os.Remove(filepath.Join(filepath.Dir(path), old.File)) // left behind it harms nobody
	}
	return durable.SyncDir(filepath.Dir(path))
}

func (s *Store) info(bucket, key string) (Info, error) {
	var info Info
	text, err := os.ReadFile(s.infoFile(bucket, key))
	if errors.Is(err, fs.ErrNotExist) {
		return info, ErrNotFound
	}
	if err == nil {
		err = json.Unmarshal(text, &info)
	}
	if err != nil {
		return info, fmt.Errorf("read description of object: %w", err)
	}
	return info, nil
}

// Head describes an object (ErrNotFound).
func (s *Store) Head(bucket, key string) (Info, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.info(bucket, key)
}

// Open reads an object (ErrNotFound). What is open stays readable when the object is replaced.
func (s *Store) Open(bucket, key string) (Info, *os.File, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	info, err := s.info(bucket, key)
	if err != nil {
		return info, nil, err
	}
	f, err := os.Open(filepath.Join(s.bucketDir(bucket), filepath.Base(info.File)))
	if err != nil {
		return info, nil, fmt.Errorf("open object: %w", err)
	}
	return info, f, nil
}

// Delete removes an object; one that is not there is none.
func (s *Store) Delete(bucket, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	info, err := s.info(bucket, key)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	dir := s.bucketDir(bucket)
	if err := os.Remove(s.infoFile(bucket, key)); err != nil {
		return fmt.Errorf("remove object: %w", err)
	}
	_ = os.Remove(filepath.Join(dir, filepath.Base(info.File))) // left behind it harms nobody
	return durable.SyncDir(dir)
}

// List describes the objects of a bucket whose keys begin with a prefix, sorted by key.
func (s *Store) List(bucket, prefix string) ([]Info, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	dir := s.bucketDir(bucket)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list objects: %w", err)
	}
	var list []Info
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".json") {
			continue
		}
		var info Info
		text, err := os.ReadFile(filepath.Join(dir, e.Name())) //nolint:gosec // a folder of our own
		if err == nil {
			err = json.Unmarshal(text, &info)
		}
		if err != nil {
			return nil, fmt.Errorf("read description of object: %w", err)
		}
		if strings.HasPrefix(info.Key, prefix) {
			list = append(list, info)
		}
	}
	slices.SortFunc(list, func(a, b Info) int { return strings.Compare(a.Key, b.Key) })
	return list, nil
}

// Drop removes what a deleted bucket left behind.
func (s *Store) Drop(bucket string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := os.RemoveAll(s.bucketDir(bucket)); err != nil {
		return fmt.Errorf("remove bucket: %w", err)
	}
	return nil
}
