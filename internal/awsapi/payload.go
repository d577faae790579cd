package awsapi

import (
	"crypto/md5"  //nolint:gosec // Content-MD5 guards against accidents, not against people
	"crypto/sha1" //nolint:gosec // as above
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// What X-Amz-Content-Sha256 may say instead of a digest (S3 API reference, "Signature calculations for the
// Authorization header").
const (
	payloadUnsigned        = "UNSIGNED-PAYLOAD"
	payloadSigned          = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	payloadSignedTrailer   = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
	payloadUnsignedTrailer = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
)

// stream checks the signature of a request to S3 and returns its body, which is verified while it is read: a reader
// that was read to its end without an error gave what the client sent. header is the header as the object has it: without
// the framing of chunks. limit is the largest object, in bytes.
func (s *signedRequest) stream(r *http.Request, body io.ReadCloser, limit int64) (io.ReadCloser, http.Header, error) {
	given := r.Header.Get("X-Amz-Content-Sha256")
	if given == "" && s.presigned {
		given = payloadUnsigned
	}
	if given == "" {
		return nil, nil, fault("InvalidRequest", "Missing required header for this request: x-amz-content-sha256")
	}
	if err := s.check(r, given); err != nil {
		return nil, nil, err
	}
	header := r.Header.Clone()
	if r.ContentLength >= 0 {
		header.Set("Content-Length", strconv.FormatInt(r.ContentLength, 10))
	}
	out := &verifiedBody{body: body, from: body, limit: limit}
	switch given {
	case payloadUnsigned:
	case payloadSigned, payloadSignedTrailer, payloadUnsignedTrailer:
		chunks, err := s.chunks(r, body, given)
		if err != nil {
			return nil, nil, err
		}
		out.from, out.trailer = chunks, chunks.trailer
		unframe(header)
	default:
		if _, err := hex.DecodeString(given); err != nil || len(given) != 2*sha256.Size {
			return nil, nil, fault("InvalidArgument", "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, a STREAMING- word, or a valid sha256 value.")
		}
		out.checks = append(out.checks, check{
			hash: sha256.New(), want: given, form: hex.EncodeToString,
			err: fault("XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed."),
		})
	}
	if err := out.addChecks(r); err != nil {
		return nil, nil, err
	}
	return out, header, nil
}

// unframe takes out of a header what speaks of chunks.
func unframe(h http.Header) {
	h.Set("Content-Length", h.Get("X-Amz-Decoded-Content-Length"))
	var kept []string
	for _, value := range h.Values("Content-Encoding") {
		for part := range strings.SplitSeq(value, ",") {
			if part = strings.TrimSpace(part); part != "" && !strings.EqualFold(part, "aws-chunked") {
				kept = append(kept, part)
			}
		}
	}
	h.Del("Content-Encoding")
	if len(kept) > 0 {
		h.Set("Content-Encoding", strings.Join(kept, ","))
	}
}

// check is a digest that the client promised.
type check struct {
	hash    hash.Hash
	want    string
	trailer string // the name under which it comes after the body, where it does
	form    func([]byte) string
	err     *Error
}

// verifiedBody reads a body and, at its end, says whether it was the one that was promised.
type verifiedBody struct {
	body    io.Closer
	from    io.Reader
	trailer map[string]string
	limit   int64
	read    int64
	checks  []check
	err     error
}

// crc64NVME is the polynomial of CRC-64/NVME, in the bit order of hash/crc64.
const crc64NVME = 0x9a6c9329ac4bc9b5

func newChecksum(name string) hash.Hash {
	switch name {
	case "x-amz-checksum-crc32":
		return crc32.NewIEEE()
	case "x-amz-checksum-crc32c":
		return crc32.New(crc32.MakeTable(crc32.Castagnoli))
	case "x-amz-checksum-crc64nvme":
		return crc64.New(crc64.MakeTable(crc64NVME))
	case "x-amz-checksum-sha1":
		return sha1.New() //nolint:gosec // the client's choice
	case "x-amz-checksum-sha256":
		return sha256.New()
	}
	return nil
}

// addChecks adds the digests of headers and trailers. Algorithms that we do not have are not checked.
func (b *verifiedBody) addChecks(r *http.Request) error {
	encode := base64.StdEncoding.EncodeToString
	for name, values := range r.Header {
		low := strings.ToLower(name)
		if h := newChecksum(low); h != nil && len(values) == 1 {
			b.checks = append(b.checks, check{hash: h, want: values[0], form: encode, err: badDigest(low)})
		}
	}
	if want := r.Header.Get("Content-Md5"); want != "" {
		if sum, err := base64.StdEncoding.DecodeString(want); err != nil || len(sum) != md5.Size {
			return fault("InvalidDigest", "The Content-MD5 you specified was invalid.")
		}
		b.checks = append(b.checks, check{hash: md5.New(), want: want, form: encode, err: badDigest("Content-MD5")}) //nolint:gosec // the client's choice
	}
	for name := range b.trailer {
		if h := newChecksum(name); h != nil {
			b.checks = append(b.checks, check{hash: h, trailer: name, form: encode, err: badDigest(name)})
		}
	}
	return nil
}

func badDigest(name string) *Error {
	name = strings.ToUpper(strings.TrimPrefix(name, "x-amz-checksum-"))
	return fault("BadDigest", "The "+name+" you specified did not match the calculated checksum.")
}

// Read implements io.Reader. Once it failed it fails for ever.
func (b *verifiedBody) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.from.Read(p)
	b.read += int64(n)
	for _, c := range b.checks {
		c.hash.Write(p[:n])
	}
	var tooLarge *http.MaxBytesError
	switch {
	case b.read > b.limit, errors.As(err, &tooLarge):
		b.err = errTooLarge(b.limit)
	case errors.Is(err, io.EOF):
		b.err = b.verify()
	case errors.Is(err, io.ErrUnexpectedEOF):
		b.err = fault("IncompleteBody", "You did not provide the number of bytes specified by the Content-Length HTTP header.")
	case err != nil:
		b.err = err
	}
	return n, b.err
}

// verify returns io.EOF for a body that is what was promised.
func (b *verifiedBody) verify() error {
	for _, c := range b.checks {
		want := c.want
		if c.trailer != "" {
			want = b.trailer[c.trailer]
		}
		if c.form(c.hash.Sum(nil)) != want {
			return c.err
		}
	}
	return io.EOF
}

// Close implements io.Closer.
func (b *verifiedBody) Close() error { return b.body.Close() }
