// Package s3 answers the part of S3 that revisions and bundles need (API version 2006-03-01): buckets, and objects that are
// put, whole or in parts, copied, got and deleted. Versions are not served.
package s3

import (
	"context"
	"errors"
	"io"
	"net/url"
	"strings"
	"time"

	"greengate/internal/awsapi"
	"greengate/internal/awsapi/shapes"
	shape "greengate/internal/awsapi/shapes/s3"
	"greengate/internal/cloud"
	"greengate/internal/lazyregexp"
)

// Resources keeps buckets; *cloud.Cloud is one.
type Resources interface {
	State() cloud.State
	Update(ctx context.Context, edit func(d *cloud.Draft) error) error
}

// Object describes an object; Body is only there for Get and Put.
type Object struct {
	Key, ETag, Type, Encoding, Cache string
	Size                             int64
	Modified                         time.Time
	Metadata                         map[string]string
	Body                             io.ReadCloser
}

// ErrNotFound is what Objects answers where there is no such object.
var ErrNotFound = errors.New("no such object")

// Objects keeps objects.
type Objects interface {
	// Put stores what o.Body gives to its end; after an error nothing has changed.
	Put(ctx context.Context, bucket string, o Object) (Object, error)
	Get(ctx context.Context, bucket, key string) (Object, error)
	Head(ctx context.Context, bucket, key string) (Object, error)
	Delete(ctx context.Context, bucket, key string) error
	// List returns the objects whose keys begin with a prefix, sorted by key.
	List(ctx context.Context, bucket, prefix string) ([]Object, error)
}

// Config is what a Service needs.
type Config struct {
	Region    string
	Resources Resources
	Objects   Objects
	// Access decides whether who copies an object may read it; nil lets root alone copy.
	Access awsapi.Access
	Now    func() time.Time
}

// Service answers S3.
type Service struct{ cfg Config }

// New returns a Service.
func New(cfg Config) *Service { return &Service{cfg: cfg} }

func bucketARN(bucket string) []string      { return []string{"arn:aws:s3:::" + bucket} }
func objectARN(bucket, key string) []string { return []string{"arn:aws:s3:::" + bucket + "/" + key} }

// Handlers are the operations that are served.
func (s *Service) Handlers() awsapi.Handlers {
	h := awsapi.Handlers{
		"CreateBucket":      awsapi.Handle(s.createBucket, func(in *shape.CreateBucketRequest) []string { return bucketARN(in.Bucket) }),
		"HeadBucket":        awsapi.Handle(s.headBucket, func(in *shape.HeadBucketRequest) []string { return bucketARN(in.Bucket) }).As("s3:ListBucket"),
		"DeleteBucket":      awsapi.Handle(s.deleteBucket, func(in *shape.DeleteBucketRequest) []string { return bucketARN(in.Bucket) }),
		"ListBuckets":       awsapi.Handle(s.listBuckets, nil).As("s3:ListAllMyBuckets"),
		"GetBucketLocation": awsapi.Handle(s.getLocation, func(in *shape.GetBucketLocationRequest) []string { return bucketARN(in.Bucket) }),
		"PutObject":         awsapi.Handle(s.putObject, func(in *shape.PutObjectRequest) []string { return objectARN(in.Bucket, in.Key) }),
		"GetObject":         awsapi.Handle(s.getObject, func(in *shape.GetObjectRequest) []string { return objectARN(in.Bucket, in.Key) }),
		"HeadObject":        awsapi.Handle(s.headObject, func(in *shape.HeadObjectRequest) []string { return objectARN(in.Bucket, in.Key) }).As("s3:GetObject"),
		"DeleteObject":      awsapi.Handle(s.deleteObject, func(in *shape.DeleteObjectRequest) []string { return objectARN(in.Bucket, in.Key) }),
		"ListObjectsV2":     awsapi.Handle(s.listObjects, func(in *shape.ListObjectsV2Request) []string { return bucketARN(in.Bucket) }).As("s3:ListBucket"),
	}
	s.copyHandlers(h)
	s.uploadHandlers(h)
	return h
}

// bucketPattern is the rule for names (user guide, "Bucket naming rules").
var bucketPattern = lazyregexp.New(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

// bucket checks that a bucket is there.
func (s *Service) bucket(st cloud.State, name string) error {
	if _, ok := cloud.Find[cloud.Bucket](st, name); !ok {
		return &awsapi.Error{Name: "NoSuchBucket", Message: "The specified bucket does not exist", Status: 404}
	}
	return nil
}

// missing words what the store does not have.
func missing(err error) error {
	if errors.Is(err, ErrNotFound) {
		return &awsapi.Error{Name: "NoSuchKey", Message: "The specified key does not exist.", Status: 404}
	}
	return err
}

func (s *Service) createBucket(ctx context.Context, _ awsapi.Principal, in *shape.CreateBucketRequest) (*shape.CreateBucketOutput, error) {
	if !bucketPattern.MatchString(in.Bucket) || strings.Contains(in.Bucket, "..") {
		return nil, awsapi.Fault("InvalidBucketName", "The specified bucket is not valid.")
	}
	err := s.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		if _, ok := cloud.Find[cloud.Bucket](d.State(), in.Bucket); ok {
			return &awsapi.Error{Name: "BucketAlreadyOwnedByYou", Message: "Your previous request to create the named bucket succeeded and you already own it.", Status: 409}
		}
		d.Put(cloud.Bucket{Name: in.Bucket, Created: s.cfg.Now(), Region: s.cfg.Region})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.CreateBucketOutput{Location: "/" + in.Bucket}, nil
}

func (s *Service) headBucket(_ context.Context, _ awsapi.Principal, in *shape.HeadBucketRequest) (*shape.HeadBucketOutput, error) {
	return &shape.HeadBucketOutput{BucketRegion: s.cfg.Region}, s.bucket(s.cfg.Resources.State(), in.Bucket)
}

func (s *Service) deleteBucket(ctx context.Context, _ awsapi.Principal, in *shape.DeleteBucketRequest) (*struct{}, error) {
	return nil, s.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		if err := s.bucket(d.State(), in.Bucket); err != nil {
			return err
		}
		// Objects are not put into a bucket while it is being deleted: a put asks for the bucket again once it is stored.
		list, err := s.cfg.Objects.List(ctx, in.Bucket, "")
		if err != nil {
			return err
		}
		if len(list) > 0 {
			return &awsapi.Error{Name: "BucketNotEmpty", Message: "The bucket you tried to delete is not empty", Status: 409}
		}
		d.Remove(cloud.Bucket{Name: in.Bucket})
		return nil
	})
}

func (s *Service) listBuckets(context.Context, awsapi.Principal, *shape.ListBucketsRequest) (*shape.ListBucketsOutput, error) {
	out := &shape.ListBucketsOutput{Buckets: []shape.Bucket{}, Owner: &shape.Owner{ID: "greengate"}}
	for _, b := range cloud.All[cloud.Bucket](s.cfg.Resources.State()) {
		out.Buckets = append(out.Buckets, shape.Bucket{Name: b.Name, CreationDate: shapes.At(b.Created)})
	}
	return out, nil
}

func (s *Service) getLocation(_ context.Context, _ awsapi.Principal, in *shape.GetBucketLocationRequest) (*shape.GetBucketLocationOutput, error) {
	out := &shape.GetBucketLocationOutput{}
	if s.cfg.Region != "us-east-1" { // which has none
		out.LocationConstraint = shape.BucketLocationConstraint(s.cfg.Region)
	}
	return out, s.bucket(s.cfg.Resources.State(), in.Bucket)
}

func (s *Service) putObject(ctx context.Context, _ awsapi.Principal, in *shape.PutObjectRequest) (*shape.PutObjectOutput, error) {
	if err := s.bucket(s.cfg.Resources.State(), in.Bucket); err != nil {
		return nil, err
	}
	o := Object{Key: in.Key, Type: in.ContentType, Encoding: in.ContentEncoding, Cache: in.CacheControl, Metadata: in.Metadata, Body: in.Body}
	if o.Body == nil {
		o.Body = io.NopCloser(strings.NewReader(""))
	}
	if in.IfNoneMatch == "*" {
		if _, err := s.cfg.Objects.Head(ctx, in.Bucket, in.Key); err == nil {
			return nil, &awsapi.Error{Name: "PreconditionFailed", Message: "At least one of the pre-conditions you specified did not hold", Status: 412}
		}
	}
	o, err := s.put(ctx, in.Bucket, o)
	if err != nil {
		return nil, err
	}
	return &shape.PutObjectOutput{ETag: quoted(o.ETag)}, nil
}

func quoted(etag string) string { return `"` + etag + `"` }

func (s *Service) getObject(ctx context.Context, _ awsapi.Principal, in *shape.GetObjectRequest) (*shape.GetObjectOutput, error) {
	if err := s.bucket(s.cfg.Resources.State(), in.Bucket); err != nil {
		return nil, err
	}
	if in.PartNumber != nil {
		return nil, &awsapi.Error{Name: "NotImplemented", Message: "The parts of an object are not kept; use a range.", Status: 501}
	}
	o, err := s.cfg.Objects.Get(ctx, in.Bucket, in.Key)
	if err != nil {
		return nil, missing(err)
	}
	if err := (conditions{in.IfMatch, in.IfNoneMatch, in.IfModifiedSince, in.IfUnmodifiedSince}).check(o); err != nil {
		return nil, errors.Join(err, o.Body.Close())
	}
	return s.ranged(in.Range, o)
}

// whole is the answer that holds a whole object.
func whole(o Object) *shape.GetObjectOutput {
	return &shape.GetObjectOutput{
		Body: o.Body, ContentLength: &o.Size, ETag: quoted(o.ETag), LastModified: shapes.At(o.Modified), ContentType: contentType(o), AcceptRanges: "bytes",
		ContentEncoding: o.Encoding, CacheControl: o.Cache, Metadata: o.Metadata,
	}
}

func contentType(o Object) string {
	if o.Type == "" {
		return "binary/octet-stream"
	}
	return o.Type
}

func (s *Service) headObject(ctx context.Context, _ awsapi.Principal, in *shape.HeadObjectRequest) (*shape.HeadObjectOutput, error) {
	if err := s.bucket(s.cfg.Resources.State(), in.Bucket); err != nil {
		return nil, err
	}
	o, err := s.cfg.Objects.Head(ctx, in.Bucket, in.Key)
	if err != nil {
		return nil, missing(err)
	}
	if err := (conditions{in.IfMatch, in.IfNoneMatch, in.IfModifiedSince, in.IfUnmodifiedSince}).check(o); err != nil {
		return nil, err
	}
	return &shape.HeadObjectOutput{
		ContentLength: &o.Size, ETag: quoted(o.ETag), LastModified: shapes.At(o.Modified), ContentType: contentType(o), ContentEncoding: o.Encoding,
		CacheControl: o.Cache, Metadata: o.Metadata,
	}, nil
}

func (s *Service) deleteObject(ctx context.Context, _ awsapi.Principal, in *shape.DeleteObjectRequest) (*shape.DeleteObjectOutput, error) {
	if err := s.bucket(s.cfg.Resources.State(), in.Bucket); err != nil {
		return nil, err
	}
	return &shape.DeleteObjectOutput{}, s.cfg.Objects.Delete(ctx, in.Bucket, in.Key)
}

// maxKeys is how many keys an answer has.
const maxKeys = 1000

// listing is what both versions of ListObjects ask for.
type listing struct {
	bucket, prefix, delimiter, after string
	encoding                         shape.EncodingType
	most                             *int32
}

// listed is a page of a listing.
type listed struct {
	objects []shape.Object
	folders []shape.CommonPrefix
	most    int
	// next is the last name of a page that is not the last one.
	next string
}

func (l listing) encode(v string) string {
	if l.encoding == shape.EncodingTypeUrl {
		return strings.ReplaceAll(url.QueryEscape(v), "%2F", "/")
	}
	return v
}

func (s *Service) list(ctx context.Context, in listing) (listed, error) {
	out := listed{most: maxKeys}
	if err := s.bucket(s.cfg.Resources.State(), in.bucket); err != nil {
		return out, err
	}
	list, err := s.cfg.Objects.List(ctx, in.bucket, in.prefix)
	if err != nil {
		return out, err
	}
	if in.most != nil && *in.most >= 0 && *in.most < maxKeys {
		out.most = int(*in.most)
	}
	last := ""
	for _, o := range list {
		name, folder := o.Key, false
		if rest := strings.TrimPrefix(o.Key, in.prefix); in.delimiter != "" && strings.Contains(rest, in.delimiter) {
			before, _, _ := strings.Cut(rest, in.delimiter)
			name, folder = in.prefix+before+in.delimiter, true
		}
		if name <= in.after || folder && name == last {
			continue
		}
		if len(out.objects)+len(out.folders) == out.most {
			out.next = last
			break
		}
		if last = name; folder {
			out.folders = append(out.folders, shape.CommonPrefix{Prefix: in.encode(name)})
			continue
		}
		out.objects = append(out.objects, shape.Object{Key: in.encode(o.Key), Size: &o.Size, ETag: quoted(o.ETag), LastModified: shapes.At(o.Modified), StorageClass: "STANDARD"})
	}
	return out, nil
}

func (s *Service) listObjects(ctx context.Context, _ awsapi.Principal, in *shape.ListObjectsV2Request) (*shape.ListObjectsV2Output, error) {
	l := listing{in.Bucket, in.Prefix, in.Delimiter, max(in.StartAfter, in.ContinuationToken), in.EncodingType, in.MaxKeys}
	p, err := s.list(ctx, l)
	if err != nil {
		return nil, err
	}
	return &shape.ListObjectsV2Output{
		Name: in.Bucket, Prefix: l.encode(in.Prefix), Delimiter: l.encode(in.Delimiter), EncodingType: in.EncodingType, MaxKeys: new(int32(p.most)), //nolint:gosec // at most 1000
		ContinuationToken: in.ContinuationToken, StartAfter: l.encode(in.StartAfter), IsTruncated: new(p.next != ""), NextContinuationToken: p.next,
		Contents: p.objects, CommonPrefixes: p.folders, KeyCount: new(int32(len(p.objects) + len(p.folders))), //nolint:gosec // at most 1000
	}, nil
}

// listObjectsV1 is ListObjects, which older clients use.
func (s *Service) listObjectsV1(ctx context.Context, _ awsapi.Principal, in *shape.ListObjectsRequest) (*shape.ListObjectsOutput, error) {
	l := listing{in.Bucket, in.Prefix, in.Delimiter, in.Marker, in.EncodingType, in.MaxKeys}
	p, err := s.list(ctx, l)
	if err != nil {
		return nil, err
	}
	out := &shape.ListObjectsOutput{
		Name: in.Bucket, Prefix: l.encode(in.Prefix), Delimiter: l.encode(in.Delimiter), EncodingType: in.EncodingType, MaxKeys: new(int32(p.most)), //nolint:gosec // at most 1000
		Marker: l.encode(in.Marker), IsTruncated: new(p.next != ""), Contents: p.objects, CommonPrefixes: p.folders,
	}
	if in.Delimiter != "" { // without one, clients go on from the last key
		out.NextMarker = l.encode(p.next)
	}
	return out, nil
}
