package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"

	"greengate/internal/awsapi"
	"greengate/internal/awsapi/shapes"
	shape "greengate/internal/awsapi/shapes/s3"
)

func (s *Service) copyHandlers(h awsapi.Handlers) {
	h["ListObjects"] = awsapi.Handle(s.listObjectsV1, func(in *shape.ListObjectsRequest) []string { return bucketARN(in.Bucket) }).As("s3:ListBucket")
	h["DeleteObjects"] = awsapi.Handle(s.deleteObjects, func(in *shape.DeleteObjectsRequest) []string {
		var arns []string
		if in.Delete != nil {
			for _, o := range in.Delete.Objects {
				arns = append(arns, objectARN(in.Bucket, o.Key)...)
			}
		}
		if len(arns) == 0 {
			return bucketARN(in.Bucket)
		}
		return arns
	}).As("s3:DeleteObject")
	h["CopyObject"] = awsapi.Handle(s.copyObject, func(in *shape.CopyObjectRequest) []string { return objectARN(in.Bucket, in.Key) }).As("s3:PutObject")
}

// deleteObjects removes up to 1,000 objects; those that are not there are none.
func (s *Service) deleteObjects(ctx context.Context, _ awsapi.Principal, in *shape.DeleteObjectsRequest) (*shape.DeleteObjectsOutput, error) {
	if err := s.bucket(s.cfg.Resources.State(), in.Bucket); err != nil {
		return nil, err
	}
	if in.Delete == nil || len(in.Delete.Objects) == 0 || len(in.Delete.Objects) > maxKeys {
		return nil, awsapi.Fault("MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
	}
	out := &shape.DeleteObjectsOutput{}
	quiet := in.Delete.Quiet != nil && *in.Delete.Quiet
	for _, o := range in.Delete.Objects {
		if err := s.cfg.Objects.Delete(ctx, in.Bucket, o.Key); err != nil {
			return nil, fmt.Errorf("delete %s: %w", o.Key, err)
		}
		if !quiet {
			out.Deleted = append(out.Deleted, shape.DeletedObject{Key: o.Key})
		}
	}
	return out, nil
}

// copySource reads "bucket/key" or "/bucket/key", which is escaped as a URL is.
func copySource(text string) (bucket, key string, err error) {
	path, query, _ := strings.Cut(text, "?")
	if query != "" {
		return "", "", &awsapi.Error{Name: "NotImplemented", Message: "Versions of objects are not served.", Status: 501}
	}
	path, err = url.PathUnescape(path)
	bucket, key, ok := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if err != nil || !ok || bucket == "" || key == "" {
		return "", "", awsapi.Fault("InvalidArgument", "Copy Source must mention the source bucket and key: sourcebucket/sourcekey")
	}
	return bucket, key, nil
}

// copyObject copies an object with what describes it, or, where the caller says REPLACE, with what the request describes.
func (s *Service) copyObject(ctx context.Context, by awsapi.Principal, in *shape.CopyObjectRequest) (*shape.CopyObjectOutput, error) {
	bucket, key, err := copySource(in.CopySource)
	if err != nil {
		return nil, err
	}
	if err := s.mayRead(ctx, by, bucket, key); err != nil {
		return nil, err
	}
	st := s.cfg.Resources.State()
	if err := errors.Join(s.bucket(st, bucket), s.bucket(st, in.Bucket)); err != nil {
		return nil, err
	}
	o, err := s.cfg.Objects.Get(ctx, bucket, key)
	if err != nil {
		return nil, missing(err)
	}
	defer o.Body.Close() //nolint:errcheck // it was only read
	if in.CopySourceIfMatch != "" && strings.Trim(in.CopySourceIfMatch, `"`) != o.ETag {
		return nil, preconditionFailed()
	}
	if in.MetadataDirective == shape.MetadataDirectiveReplace {
		o.Type, o.Encoding, o.Cache, o.Metadata = in.ContentType, in.ContentEncoding, in.CacheControl, in.Metadata
	} else if bucket == in.Bucket && key == in.Key {
		return nil, awsapi.Fault("InvalidRequest", "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata.")
	}
	o.Key = in.Key
	if o, err = s.put(ctx, in.Bucket, o); err != nil {
		return nil, err
	}
	return &shape.CopyObjectOutput{CopyObjectResult: &shape.CopyObjectResult{ETag: quoted(o.ETag), LastModified: shapes.At(o.Modified)}}, nil
}

// mayRead asks whether the source of a copy may be read by who copies it.
func (s *Service) mayRead(ctx context.Context, by awsapi.Principal, bucket, key string) error {
	if s.cfg.Access != nil {
		return s.cfg.Access.Allow(ctx, by, awsapi.AccessRequest{Action: "s3:GetObject", Resource: objectARN(bucket, key)[0]})
	}
	if by.Kind != awsapi.KindRoot {
		return &awsapi.Error{Name: "AccessDeniedException", Message: "Access Denied", Status: 403}
	}
	return nil
}

// put stores an object in a bucket that may be deleted meanwhile.
func (s *Service) put(ctx context.Context, bucket string, o Object) (Object, error) {
	if len(o.Key) > 1024 {
		return o, awsapi.Fault("KeyTooLongError", "Your key is too long")
	}
	stored, err := s.cfg.Objects.Put(ctx, bucket, o)
	if err != nil {
		return o, err
	}
	if gone := s.bucket(s.cfg.Resources.State(), bucket); gone != nil {
		return o, errors.Join(gone, s.cfg.Objects.Delete(ctx, bucket, o.Key))
	}
	return stored, nil
}

// byteRange reads the header Range for an object of a size: first and last byte. Several ranges, and what is no range of
// bytes, are ignored, as RFC 9110 allows; ok says whether there is one.
func byteRange(header string, size int64) (first, last int64, ok bool, err error) {
	text, isBytes := strings.CutPrefix(header, "bytes=")
	from, to, dash := strings.Cut(text, "-")
	if !isBytes || !dash || strings.Contains(text, ",") {
		return 0, 0, false, nil
	}
	if from == "" { // the last bytes
		n, err := strconv.ParseInt(to, 10, 64)
		if err != nil || n < 0 {
			return 0, 0, false, nil //nolint:nilerr // no range
		}
		return max(0, size-n), size - 1, true, unsatisfiable(n == 0 || size == 0)
	}
	if first, err = strconv.ParseInt(from, 10, 64); err != nil || first < 0 {
		return 0, 0, false, nil //nolint:nilerr // no range
	}
	last = size - 1
	if to != "" {
		n, err := strconv.ParseInt(to, 10, 64)
		if err != nil || n < first {
			return 0, 0, false, nil //nolint:nilerr // no range
		}
		last = min(last, n)
	}
	return first, last, true, unsatisfiable(first >= size)
}

func unsatisfiable(is bool) error {
	if is {
		return &awsapi.Error{Name: "InvalidRange", Message: "The requested range is not satisfiable", Status: 416}
	}
	return nil
}

// ranged answers an object, or the bytes of it that are asked for.
func (s *Service) ranged(header string, o Object) (*shape.GetObjectOutput, error) {
	out := whole(o)
	first, last, ok, err := byteRange(header, o.Size)
	if err == nil && ok {
		if seeker, can := o.Body.(io.Seeker); can {
			_, err = seeker.Seek(first, io.SeekStart)
		} else {
			_, err = io.CopyN(io.Discard, o.Body, first)
		}
	}
	if err != nil {
		return nil, errors.Join(err, o.Body.Close())
	}
	if ok {
		out.Body = limited{io.LimitReader(o.Body, last-first+1), o.Body}
		out.ContentLength, out.ContentRange = new(last-first+1), fmt.Sprintf("bytes %d-%d/%d", first, last, o.Size)
	}
	return out, nil
}

// limited reads a part of what it closes.
type limited struct {
	io.Reader
	io.Closer
}
