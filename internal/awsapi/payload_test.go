package awsapi

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"hash/crc64"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// docKeys is the key pair of the examples in the S3 API reference.
type docKeys struct{}

func (docKeys) Lookup(id, _ string, _ time.Time) (Secret, Principal, error) {
	if id != "AKIAIOSFODNN7EXAMPLE" {
		return "", Principal{}, ErrUnknownKey
	}
	return "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", Principal{Kind: KindRoot}, nil
}

func docTime() time.Time { return time.Date(2013, time.May, 24, 0, 0, 0, 0, time.UTC) }

const docLimit = 1 << 20

// receive does what a server does with an object.
func receive(r *http.Request, keys Keys, now time.Time) (body []byte, header http.Header, err error) {
	signed, err := beginVerify(r, keys, now)
	if err != nil {
		return nil, nil, err
	}
	stream, header, err := signed.stream(r, r.Body, docLimit)
	if err != nil {
		return nil, nil, err
	}
	body, err = io.ReadAll(stream)
	return body, header, err
}

// docChunks is the body of the published example: 65536 and 1024 times "a".
func docChunks() string {
	return "10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\r\n" + strings.Repeat("a", 65536) + "\r\n" +
		"400;chunk-signature=0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497\r\n" + strings.Repeat("a", 1024) + "\r\n" +
		"0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9\r\n\r\n"
}

func docRequest(t *testing.T, body string) *http.Request {
	t.Helper()
	r := wireRequest(t, "PUT", "http://s3.amazonaws.com/examplebucket/chunkObject.txt", body, map[string]string{
		"X-Amz-Date": "20130524T000000Z", "X-Amz-Storage-Class": "REDUCED_REDUNDANCY", "Content-Encoding": "aws-chunked",
		"X-Amz-Content-Sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "X-Amz-Decoded-Content-Length": "66560",
		"Authorization": "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, " +
			"SignedHeaders=content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class, " +
			"Signature=4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
	})
	// The length is signed: what a forger changes must not change it.
	r.ContentLength = int64(len(docChunks()))
	r.Header.Set("Content-Length", strconv.FormatInt(r.ContentLength, 10))
	r.Body = io.NopCloser(strings.NewReader(body))
	return r
}

// TestStream_published checks the chunk signatures that AWS publishes (S3 API reference, "Signature calculations for the
// Authorization header: transferring payload in multiple chunks").
func TestStream_published(t *testing.T) {
	t.Parallel()
	body, header, err := receive(docRequest(t, docChunks()), docKeys{}, docTime())
	if err != nil || string(body) != strings.Repeat("a", 66560) {
		t.Fatalf("%d bytes, %v", len(body), err)
	}
	if header.Get("Content-Length") != "66560" || header.Get("Content-Encoding") != "" {
		t.Errorf("header %v", header)
	}
	slow := docRequest(t, "")
	slow.Body = io.NopCloser(iotest.OneByteReader(strings.NewReader(docChunks())))
	if body, _, err := receive(slow, docKeys{}, docTime()); err != nil || len(body) != 66560 {
		t.Errorf("byte by byte: %d bytes, %v", len(body), err)
	}
	for what, forged := range map[string]string{
		"a byte":           strings.Replace(docChunks(), "aaaa", "aaba", 1),
		"a signature":      strings.Replace(docChunks(), "signature=ad", "signature=ae", 1),
		"no signature":     strings.Replace(docChunks(), ";chunk-signature=ad80", ";chunk-signatura=ad80", 1),
		"the last chunk":   strings.Replace(docChunks(), "signature=b6", "signature=b7", 1),
		"no last chunk":    docChunks()[:strings.Index(docChunks(), "0;chunk-signature=b6")],
		"cut":              docChunks()[:500],
		"nothing":          "",
		"an early end":     strings.Replace(docChunks(), "10000;", "0;", 1),
		"a larger chunk":   strings.Replace(docChunks(), "10000;", "10001;", 1),
		"a huge chunk":     strings.Replace(docChunks(), "10000;", "7fffffffffffffff;", 1),
		"a negative chunk": strings.Replace(docChunks(), "10000;", "-1;", 1),
		"a signed chunk":   strings.Replace(docChunks(), "10000;", "+10000;", 1),
		"an endless line":  strings.Repeat("0", 70000),
	} {
		body, _, err := receive(docRequest(t, forged), docKeys{}, docTime())
		var e *Error
		if !errors.As(err, &e) || e.Name != "IncompleteBody" && e.Name != "InvalidSignatureException" {
			t.Errorf("%s: %d bytes, %v", what, len(body), err)
		}
	}
}

// TestPresigned_published checks the URL that AWS publishes (S3 API reference, "Authenticating requests: using query
// parameters").
func TestPresigned_published(t *testing.T) {
	t.Parallel()
	const good = "http://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256" +
		"&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z" +
		"&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
	for _, c := range []struct {
		name, from, to string
		after          time.Duration
		want           string
	}{
		{"good", "", "", 0, ""},
		{"at its end", "", "", 24 * time.Hour, ""},
		{"after its end", "", "", 24*time.Hour + time.Second, "AccessDeniedException"},
		{"before", "", "", -6 * time.Minute, "InvalidSignatureException"},
		{"longer", "86400", "86401", 0, "InvalidSignatureException"},
		{"too long", "86400", "604801", 0, "IncompleteSignatureException"},
		{"negative", "86400", "-1", 0, "IncompleteSignatureException"},
		{"other key", "test.txt", "best.txt", 0, "InvalidSignatureException"},
		{"other region", "us-east-1", "us-east-2", 0, "InvalidSignatureException"},
		{"other day", "%2F20130524", "%2F20130525", 0, "InvalidSignatureException"},
		{"other algorithm", "AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256", 0, "IncompleteSignatureException"},
		{"more query", "&X-Amz-Date", "&versionId=1&X-Amz-Date", 0, "InvalidSignatureException"},
		{"two signatures", "&X-Amz-Date", "&X-Amz-Signature=00&X-Amz-Date", 0, "IncompleteSignatureException"},
		{"no signed headers", "&X-Amz-SignedHeaders=host", "", 0, "IncompleteSignatureException"},
		{"host not signed", "Headers=host", "Headers=range", 0, "InvalidSignatureException"},
		{"broken query", "&X-Amz-Date", "&%zz=1&X-Amz-Date", 0, "IncompleteSignatureException"},
		{"unknown key", "AKIAIOSFODNN7EXAMPLE", "AKIANOBODY", 0, "UnrecognizedClientException"},
	} {
		address := good
		if c.from != "" {
			if address = strings.Replace(good, c.from, c.to, 1); address == good {
				t.Fatalf("%s changes nothing", c.name)
			}
		}
		_, _, err := receive(wireRequest(t, "GET", address, "", nil), docKeys{}, docTime().Add(c.after))
		if c.want == "" && err != nil || c.want != "" && !named(err, c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	query, err := url.ParseQuery(strings.SplitN(good, "?", 2)[1])
	if err != nil {
		t.Fatal(err)
	}
	if err := presignedTime(query, &authorization{date: "20130524"}, docTime()); err != nil {
		t.Errorf("the day of the scope: %v", err)
	}
	if err := presignedTime(query, &authorization{date: "20130525"}, docTime()); !named(err, "InvalidSignatureException") {
		t.Errorf("another day in the scope: %v", err)
	}
	both := wireRequest(t, "GET", good, "", map[string]string{"Authorization": "AWS4-HMAC-SHA256 x"})
	if _, _, err := receive(both, docKeys{}, docTime()); !named(err, "IncompleteSignatureException") {
		t.Errorf("signed twice: %v", err)
	}
	extra := wireRequest(t, "GET", good, "", map[string]string{"X-Amz-Acl": "public-read"})
	if _, _, err := receive(extra, docKeys{}, docTime()); !named(err, "InvalidSignatureException") {
		t.Errorf("a header that is not signed: %v", err)
	}
}

// upload makes a signed PUT of an object.
func upload(t *testing.T, payload, body string, headers map[string]string) (*http.Request, *signedRequest) {
	t.Helper()
	all := map[string]string{"X-Amz-Content-Sha256": payload}
	maps.Copy(all, headers)
	r := wireRequest(t, "PUT", "http://127.0.0.1/b/k", body, all)
	s := signer{RootKey{"AKIDEXAMPLE", exampleSecret}, "", "s3", "us-east-1", vectorTime()}
	return r, s.signPayload(r, payload)
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func crc(s string) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(s))))
}

func TestStream_checksums(t *testing.T) {
	t.Parallel()
	const body = "the object"
	// The check value of CRC-64/NVME (catalogue of parametrised CRC algorithms).
	if sum := crc64.Checksum([]byte("123456789"), crc64.MakeTable(crc64NVME)); sum != 0xae8b14860a799888 {
		t.Errorf("CRC-64/NVME of 123456789 is %x", sum)
	}
	for _, c := range []struct {
		name, payload string
		headers       map[string]string
		want          string
	}{
		{"unsigned", payloadUnsigned, nil, ""},
		{"digest", digest(body), nil, ""},
		{"other digest", digest("x"), nil, "XAmzContentSHA256Mismatch"},
		{"no digest", "abc", nil, "InvalidArgument"},
		{"crc32", payloadUnsigned, map[string]string{"X-Amz-Checksum-Crc32": crc(body)}, ""},
		{"other crc32", payloadUnsigned, map[string]string{"X-Amz-Checksum-Crc32": crc("x")}, "BadDigest"},
		{"crc32c", payloadUnsigned, map[string]string{"X-Amz-Checksum-Crc32c": crc(body)}, "BadDigest"},
		{"crc64", payloadUnsigned, map[string]string{"X-Amz-Checksum-Crc64nvme": "AAAAAAAAAAA="}, "BadDigest"},
		{"sha1", payloadUnsigned, map[string]string{"X-Amz-Checksum-Sha1": "3kPRBGn2Kv3NI6wtvyAnKGuCEp0="}, "BadDigest"},
		{"unknown algorithm", payloadUnsigned, map[string]string{"X-Amz-Checksum-Xxhash3": "x"}, ""},
		{"md5", payloadUnsigned, map[string]string{"Content-Md5": md5Base64(body)}, ""},
		{"other md5", payloadUnsigned, map[string]string{"Content-Md5": md5Base64("x")}, "BadDigest"},
		{"no md5", payloadUnsigned, map[string]string{"Content-Md5": "x"}, "InvalidDigest"},
		{"no length", payloadUnsignedTrailer, nil, "MissingContentLength"},
		{"bad length", payloadUnsignedTrailer, map[string]string{"X-Amz-Decoded-Content-Length": "-1"}, "MissingContentLength"},
	} {
		r, _ := upload(t, c.payload, body, c.headers)
		got, _, err := receive(r, exampleKeys{}, vectorTime())
		if c.want == "" && (err != nil || string(got) != body) || c.want != "" && !named(err, c.want) {
			t.Errorf("%s: %q, %v, want %q", c.name, got, err, c.want)
		}
	}
	r, _ := upload(t, payloadUnsigned, body, nil)
	r.Header.Del("X-Amz-Content-Sha256")
	r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "x-amz-content-sha256;", "", 1))
	if _, _, err := receive(r, exampleKeys{}, vectorTime()); !named(err, "InvalidRequest") {
		t.Errorf("without x-amz-content-sha256: %v", err)
	}
}

func md5Base64(s string) string {
	b, _ := hex.DecodeString(strings.Trim(etag([]byte(s)), `"`))
	return base64.StdEncoding.EncodeToString(b)
}

// TestStream_trailers uploads in chunks with a checksum at the end, signed and not.
func TestStream_trailers(t *testing.T) {
	t.Parallel()
	const first, second = "hello ", "world"
	headers := map[string]string{
		"X-Amz-Decoded-Content-Length": "11", "X-Amz-Trailer": "x-amz-checksum-crc32", "Content-Encoding": "gzip, aws-chunked",
	}
	trailer := "x-amz-checksum-crc32:" + crc(first+second)
	unsigned := "6\r\nhello \r\n5\r\nworld\r\n0\r\n" + trailer + "\r\n\r\n"
	for _, c := range []struct{ name, body, want string }{
		{"good", unsigned, ""},
		{"upper case", strings.Replace(unsigned, "x-amz-checksum-crc32:", "X-Amz-Checksum-Crc32: ", 1), ""},
		{"other bytes", strings.Replace(unsigned, "world", "words", 1), "BadDigest"},
		{"no trailer", "6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n", "BadDigest"},
		{"trailer not announced", strings.Replace(unsigned, "crc32:", "sha1:", 1), "IncompleteBody"},
		{"trailer twice", strings.Replace(unsigned, trailer, trailer+"\r\n"+trailer, 1), "IncompleteBody"},
		{"no end", strings.TrimSuffix(unsigned, "\r\n"), "IncompleteBody"},
		{"too short", "6\r\nhello \r\n0\r\n" + trailer + "\r\n\r\n", "IncompleteBody"},
		{"too long", strings.Replace(unsigned, "0\r\nx-amz", "1\r\n!\r\n0\r\nx-amz", 1), "IncompleteBody"},
		{"more than the chunk", strings.Replace(unsigned, "hello \r\n", "hello !\r\n", 1), "IncompleteBody"},
		{"bare newlines", strings.ReplaceAll(unsigned, "\r\n", "\n"), "IncompleteBody"},
	} {
		r, _ := upload(t, payloadUnsignedTrailer, c.body, headers)
		got, header, err := receive(r, exampleKeys{}, vectorTime())
		if c.want == "" && (err != nil || string(got) != first+second || header.Get("Content-Encoding") != "gzip") || c.want != "" && !named(err, c.want) {
			t.Errorf("%s: %q, %v, want %q", c.name, got, err, c.want)
		}
	}
	r, signed := upload(t, payloadSignedTrailer, "", headers)
	last := hex.EncodeToString(signed.auth.signature)
	chunk := func(s string) string {
		last = hex.EncodeToString(signed.sign("AWS4-HMAC-SHA256-PAYLOAD", last+"\n"+digest("")+"\n"+digest(s)))
		return fmt.Sprintf("%x;chunk-signature=%s\r\n%s", len(s), last, s)
	}
	body := chunk(first) + "\r\n" + chunk(second) + "\r\n" + chunk("") + trailer + "\r\nx-amz-trailer-signature:" +
		hex.EncodeToString(signed.sign("AWS4-HMAC-SHA256-TRAILER", last+"\n"+digest(trailer+"\n"))) + "\r\n\r\n"
	for _, c := range []struct{ name, body, want string }{
		{"signed", body, ""},
		{"other trailer", strings.Replace(body, trailer, "x-amz-checksum-crc32:"+crc("x"), 1), "InvalidSignatureException"},
		{"no trailer signature", body[:strings.Index(body, "x-amz-trailer-signature")] + "\r\n", "InvalidSignatureException"},
		{"chunks change places", strings.NewReplacer("hello ", "world", "world", "hello ").Replace(body), ""},
	} {
		again := r.Clone(t.Context())
		again.Body = io.NopCloser(strings.NewReader(c.body))
		got, _, err := receive(again, exampleKeys{}, vectorTime())
		switch {
		case c.name == "chunks change places":
			if err == nil {
				t.Errorf("%s: %q", c.name, got)
			}
		case c.want == "" && (err != nil || string(got) != first+second) || c.want != "" && !named(err, c.want):
			t.Errorf("%s: %q, %v, want %q", c.name, got, err, c.want)
		}
	}
}

func TestStream_limit(t *testing.T) {
	t.Parallel()
	r, _ := upload(t, payloadUnsigned, strings.Repeat("x", docLimit+1), nil)
	if _, _, err := receive(r, exampleKeys{}, vectorTime()); !named(err, "RequestEntityTooLargeException") {
		t.Errorf("too large: %v", err)
	}
	r, _ = upload(t, payloadUnsigned, strings.Repeat("x", docLimit), nil)
	if b, _, err := receive(r, exampleKeys{}, vectorTime()); err != nil || len(b) != docLimit {
		t.Errorf("as large as can be: %d, %v", len(b), err)
	}
	r, _ = upload(t, payloadUnsigned, "abc", nil)
	r.Body = io.NopCloser(io.MultiReader(strings.NewReader("a"), iotest.ErrReader(io.ErrUnexpectedEOF)))
	if _, _, err := receive(r, exampleKeys{}, vectorTime()); !named(err, "IncompleteBody") {
		t.Errorf("cut off: %v", err)
	}
}

func FuzzChunks(f *testing.F) {
	f.Add([]byte("6\r\nhello \r\n5\r\nworld\r\n0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n\r\n"), 11)
	f.Add([]byte("1;chunk-signature=x\r\na\r\n0\r\n\r\n"), 1)
	f.Add([]byte("0\r\n\r\n"), 0)
	f.Add([]byte("6\r\nhello!\r\n0\r\n\r\n"), 3)
	f.Fuzz(func(t *testing.T, body []byte, length int) {
		r := &http.Request{Header: http.Header{"X-Amz-Decoded-Content-Length": {strconv.Itoa(length)}, "X-Amz-Trailer": {"x-amz-checksum-crc32"}}}
		c, err := (&signedRequest{}).chunks(r, bytes.NewReader(body), payloadUnsignedTrailer)
		if err != nil {
			return
		}
		got, err := io.ReadAll(c)
		if err == nil && len(got) != length || len(got) > len(body) || len(got) > length {
			t.Fatalf("%d bytes of %d: %v", len(got), length, err)
		}
	})
}

func FuzzPresigned(f *testing.F) {
	f.Add("X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request" +
		"&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=" + strings.Repeat("00", 32))
	f.Fuzz(func(t *testing.T, query string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1/b/k", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.URL.RawQuery = query
		if _, _, err := receive(r, docKeys{}, docTime()); err == nil {
			t.Fatalf("%q was taken", query)
		}
	})
}
