package s3

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"greengate/internal/awsapi"
	"greengate/internal/awsapi/shapes"
	shape "greengate/internal/awsapi/shapes/s3"
)

// An upload in parts is kept as objects of two places that no client can name: the upload itself in the one, its parts in
// another of its own. They go when it is completed or aborted, or when it is a week old and another one begins.
const (
	uploadsPlace = "\x00uploads"
	partsPlace   = "\x00parts/"
	// maxUploads bounds what is open at a time; maxParts and minPart are limits of S3.
	maxUploads = 1000
	maxParts   = 10_000
	minPart    = 5 << 20
	uploadLife = 7 * 24 * time.Hour
)

// Metadata of an upload: where it is to go, and the metadata of its object.
const (
	ofBucket = "bucket"
	ofKey    = "key"
	ofUser   = "user-"
)

func (s *Service) uploadHandlers(h awsapi.Handlers) {
	h["CreateMultipartUpload"] = awsapi.Handle(s.createUpload, func(in *shape.CreateMultipartUploadRequest) []string { return objectARN(in.Bucket, in.Key) }).As("s3:PutObject")
	h["UploadPart"] = awsapi.Handle(s.uploadPart, func(in *shape.UploadPartRequest) []string { return objectARN(in.Bucket, in.Key) }).As("s3:PutObject")
	h["CompleteMultipartUpload"] = awsapi.Handle(s.completeUpload, func(in *shape.CompleteMultipartUploadRequest) []string { return objectARN(in.Bucket, in.Key) }).As("s3:PutObject")
	h["AbortMultipartUpload"] = awsapi.Handle(s.abortUpload, func(in *shape.AbortMultipartUploadRequest) []string { return objectARN(in.Bucket, in.Key) })
	h["ListParts"] = awsapi.Handle(s.listParts, func(in *shape.ListPartsRequest) []string { return objectARN(in.Bucket, in.Key) }).As("s3:ListMultipartUploadParts")
}

func (s *Service) createUpload(ctx context.Context, _ awsapi.Principal, in *shape.CreateMultipartUploadRequest) (*shape.CreateMultipartUploadOutput, error) {
	if err := s.bucket(s.cfg.Resources.State(), in.Bucket); err != nil {
		return nil, err
	}
	open, err := s.cfg.Objects.List(ctx, uploadsPlace, "")
	if err != nil {
		return nil, err
	}
	for _, u := range open {
		if u.Modified.Add(uploadLife).Before(s.cfg.Now()) {
			if err := s.dropUpload(ctx, u.Key); err != nil {
				return nil, err
			}
		}
	}
	if len(open) >= maxUploads {
		return nil, &awsapi.Error{Name: "SlowDown", Message: "Too many multipart uploads are open; complete or abort some.", Status: 503}
	}
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (its contract since Go 1.24)
	u := Object{
		Key: hex.EncodeToString(b[:]), Type: in.ContentType, Encoding: in.ContentEncoding, Cache: in.CacheControl,
		Metadata: map[string]string{ofBucket: in.Bucket, ofKey: in.Key}, Body: io.NopCloser(strings.NewReader("")),
	}
	for name, v := range in.Metadata {
		u.Metadata[ofUser+name] = v
	}
	if _, err := s.cfg.Objects.Put(ctx, uploadsPlace, u); err != nil {
		return nil, err
	}
	return &shape.CreateMultipartUploadOutput{Bucket: in.Bucket, Key: in.Key, UploadID: u.Key}, nil
}

func (s *Service) upload(ctx context.Context, bucket, key, id string) (Object, error) {
	u, err := s.cfg.Objects.Head(ctx, uploadsPlace, id)
	if errors.Is(err, ErrNotFound) || err == nil && (u.Metadata[ofBucket] != bucket || u.Metadata[ofKey] != key) {
		return u, &awsapi.Error{
			Name: "NoSuchUpload", Status: 404,
			Message: "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.",
		}
	}
	return u, err
}

func partKey(n int32) string { return fmt.Sprintf("%05d", n) }

func (s *Service) uploadPart(ctx context.Context, _ awsapi.Principal, in *shape.UploadPartRequest) (*shape.UploadPartOutput, error) {
	if _, err := s.upload(ctx, in.Bucket, in.Key, in.UploadID); err != nil {
		return nil, err
	}
	if in.PartNumber == nil || *in.PartNumber < 1 || *in.PartNumber > maxParts {
		return nil, awsapi.Fault("InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive")
	}
	if in.Body == nil {
		in.Body = io.NopCloser(strings.NewReader(""))
	}
	place := partsPlace + in.UploadID
	part, err := s.cfg.Objects.Put(ctx, place, Object{Key: partKey(*in.PartNumber), Body: in.Body})
	if err != nil {
		return nil, err
	}
	if _, gone := s.upload(ctx, in.Bucket, in.Key, in.UploadID); gone != nil { // it was completed or aborted meanwhile
		return nil, errors.Join(gone, s.cfg.Objects.Delete(ctx, place, part.Key))
	}
	return &shape.UploadPartOutput{ETag: quoted(part.ETag)}, nil
}

// chosen are the parts that a request to complete names, checked as S3 does.
func (s *Service) chosen(ctx context.Context, in *shape.CompleteMultipartUploadRequest) ([]Object, error) {
	if in.MultipartUpload == nil || len(in.MultipartUpload.Parts) == 0 {
		return nil, awsapi.Fault("MalformedXML", "You must specify at least one part")
	}
	var parts []Object
	last := int32(0)
	for _, want := range in.MultipartUpload.Parts {
		if want.PartNumber == nil || *want.PartNumber <= last {
			return nil, awsapi.Fault("InvalidPartOrder", "The list of parts was not in ascending order. The parts list must be specified in order by part number.")
		}
		last = *want.PartNumber
		part, err := s.cfg.Objects.Head(ctx, partsPlace+in.UploadID, partKey(last))
		if errors.Is(err, ErrNotFound) || err == nil && strings.Trim(want.ETag, `"`) != part.ETag {
			return nil, awsapi.Fault("InvalidPart", "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.")
		}
		if err != nil {
			return nil, err
		}
		if len(parts) > 0 && parts[len(parts)-1].Size < minPart {
			return nil, awsapi.Fault("EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size")
		}
		parts = append(parts, part)
	}
	return parts, nil
}

// completeUpload makes one object of the parts. Its ETag is the digest of the whole, not one of digests as on AWS: clients
// may not read anything into it.
func (s *Service) completeUpload(ctx context.Context, _ awsapi.Principal, in *shape.CompleteMultipartUploadRequest) (*shape.CompleteMultipartUploadOutput, error) {
	u, err := s.upload(ctx, in.Bucket, in.Key, in.UploadID)
	if err != nil {
		return nil, err
	}
	parts, err := s.chosen(ctx, in)
	if err != nil {
		return nil, err
	}
	o := Object{Key: in.Key, Type: u.Type, Encoding: u.Encoding, Cache: u.Cache, Metadata: map[string]string{}}
	for name, v := range u.Metadata {
		if name, ok := strings.CutPrefix(name, ofUser); ok {
			o.Metadata[name] = v
		}
	}
	o.Body = &joined{read: func(key string) (io.ReadCloser, error) {
		part, err := s.cfg.Objects.Get(ctx, partsPlace+in.UploadID, key)
		return part.Body, err
	}, parts: parts}
	defer o.Body.Close() //nolint:errcheck // it is only read
	if err := s.bucket(s.cfg.Resources.State(), in.Bucket); err != nil {
		return nil, err
	}
	if o, err = s.put(ctx, in.Bucket, o); err != nil {
		return nil, err
	}
	if err := s.dropUpload(ctx, in.UploadID); err != nil {
		return nil, err
	}
	return &shape.CompleteMultipartUploadOutput{Bucket: in.Bucket, Key: in.Key, ETag: quoted(o.ETag), Location: "/" + in.Bucket + "/" + in.Key}, nil
}

// joined reads parts one after the other.
type joined struct {
	read  func(key string) (io.ReadCloser, error)
	parts []Object
	open  io.ReadCloser
}

// Read implements io.Reader.
func (j *joined) Read(p []byte) (int, error) {
	for {
		if j.open == nil {
			if len(j.parts) == 0 {
				return 0, io.EOF
			}
			var err error
			if j.open, err = j.read(j.parts[0].Key); err != nil {
				return 0, err
			}
			j.parts = j.parts[1:]
		}
		n, err := j.open.Read(p)
		if !errors.Is(err, io.EOF) {
			return n, err
		}
		err = j.open.Close()
		if j.open = nil; n > 0 || err != nil {
			return n, err
		}
	}
}

// Close implements io.Closer.
func (j *joined) Close() error {
	if j.open == nil {
		return nil
	}
	return j.open.Close()
}

// dropUpload removes an upload, and then its parts: what is left of them after a crash nobody can reach.
func (s *Service) dropUpload(ctx context.Context, id string) error {
	if err := s.cfg.Objects.Delete(ctx, uploadsPlace, id); err != nil {
		return err
	}
	parts, err := s.cfg.Objects.List(ctx, partsPlace+id, "")
	if err != nil {
		return err
	}
	for _, p := range parts {
		if err := s.cfg.Objects.Delete(ctx, partsPlace+id, p.Key); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) abortUpload(ctx context.Context, _ awsapi.Principal, in *shape.AbortMultipartUploadRequest) (*shape.AbortMultipartUploadOutput, error) {
	if _, err := s.upload(ctx, in.Bucket, in.Key, in.UploadID); err != nil {
		return nil, err
	}
	return &shape.AbortMultipartUploadOutput{}, s.dropUpload(ctx, in.UploadID)
}

func (s *Service) listParts(ctx context.Context, _ awsapi.Principal, in *shape.ListPartsRequest) (*shape.ListPartsOutput, error) {
	if _, err := s.upload(ctx, in.Bucket, in.Key, in.UploadID); err != nil {
		return nil, err
	}
	parts, err := s.cfg.Objects.List(ctx, partsPlace+in.UploadID, "")
	if err != nil {
		return nil, err
	}
	most, after := int32(maxKeys), int32(0)
	if in.MaxParts != nil && *in.MaxParts >= 0 && *in.MaxParts < maxKeys {
		most = *in.MaxParts
	}
	if in.PartNumberMarker != nil {
		after = *in.PartNumberMarker
	}
	out := &shape.ListPartsOutput{
		Bucket: in.Bucket, Key: in.Key, UploadID: in.UploadID, MaxParts: &most, PartNumberMarker: &after, IsTruncated: new(false), StorageClass: "STANDARD",
	}
	for _, p := range parts {
		number, err := strconv.ParseInt(p.Key, 10, 32)
		if n := int32(number); err == nil && n > after {
			if int32(len(out.Parts)) == most { //nolint:gosec // at most 1000
				out.IsTruncated = new(true)
				break
			}
			out.Parts = append(out.Parts, shape.Part{PartNumber: &n, ETag: quoted(p.ETag), Size: &p.Size, LastModified: shapes.At(p.Modified)})
			out.NextPartNumberMarker = &n
		}
	}
	return out, nil
}
