package app

import (
	"context"
	"errors"
	"fmt"
	"io"

	"greengate/internal/awsapi/s3"
	"greengate/internal/objects"
)

// objectStore keeps objects in the data folder; it implements s3.Objects.
type objectStore struct{ store *objects.Store }

func object(info objects.Info) s3.Object {
	return s3.Object{
		Key: info.Key, ETag: info.ETag, Type: info.Type, Encoding: info.Encoding, Cache: info.Cache, Size: info.Size, Modified: info.Modified,
		Metadata: info.Metadata,
	}
}

func wordedObject(err error) error {
	if errors.Is(err, objects.ErrNotFound) {
		return s3.ErrNotFound
	}
	return err
}

// Put implements s3.Objects.
func (o objectStore) Put(_ context.Context, bucket string, v s3.Object) (s3.Object, error) {
	info, err := o.store.Put(bucket, objects.Info{Key: v.Key, Type: v.Type, Encoding: v.Encoding, Cache: v.Cache, Metadata: v.Metadata}, v.Body)
	return object(info), err
}

// Get implements s3.Objects.
func (o objectStore) Get(_ context.Context, bucket, key string) (s3.Object, error) {
	info, f, err := o.store.Open(bucket, key)
	if err != nil {
		return s3.Object{}, wordedObject(err)
	}
	v := object(info)
	v.Body = f
	return v, nil
}

// Head implements s3.Objects.
func (o objectStore) Head(_ context.Context, bucket, key string) (s3.Object, error) {
	info, err := o.store.Head(bucket, key)
	return object(info), wordedObject(err)
}

// Delete implements s3.Objects.
func (o objectStore) Delete(_ context.Context, bucket, key string) error {
	return o.store.Delete(bucket, key)
}

// List implements s3.Objects.
func (o objectStore) List(_ context.Context, bucket, prefix string) ([]s3.Object, error) {
	infos, err := o.store.List(bucket, prefix)
	list := make([]s3.Object, len(infos))
	for i, info := range infos {
		list[i] = object(info)
	}
	return list, err
}

// maxAppSpec is the largest AppSpec file that is read, in bytes.
const maxAppSpec = 1 << 20

// text reads a small object whole, with its ETag.
func (o objectStore) text(bucket, key string) (content, etag string, err error) {
	info, f, err := o.store.Open(bucket, key)
	if err != nil {
		return "", "", err
	}
	defer f.Close() //nolint:errcheck // it was only read
	data, err := io.ReadAll(io.LimitReader(f, maxAppSpec+1))
	if err != nil {
		return "", "", fmt.Errorf("read object: %w", err)
	}
	if len(data) > maxAppSpec {
		return "", "", fmt.Errorf("it is larger than %d bytes", maxAppSpec)
	}
	return string(data), info.ETag, nil
}
