package awsapi

import (
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
)

// canonicalPath returns the path as it is signed: S3 signs the path encoded once and as it stands, all others clean it
// and encode it a second time.
func canonicalPath(r *http.Request, service string) string {
	if service == "s3" {
		return nonEmpty(escape(r.URL.Path, true))
	}
	raw := r.URL.EscapedPath()
	clean := path.Clean("/" + raw)
	if strings.HasSuffix(raw, "/") && clean != "/" {
		clean += "/"
	}
	return escape(clean, true)
}

func nonEmpty(p string) string {
	if p == "" {
		return "/"
	}
	return p
}

// canonicalQuery decodes the raw query and encodes it again, sorted by name, then value.
func canonicalQuery(raw string) (string, error) {
	if raw == "" {
		return "", nil
	}
	type pair struct{ name, value string }
	var pairs []pair
	for part := range strings.SplitSeq(raw, "&") {
		if part == "" {
			continue
		}
		rawName, rawValue, _ := strings.Cut(part, "=")
		name, err := url.QueryUnescape(rawName)
		if err != nil {
			return "", incompleteSignature("The query string is not well formed.")
		}
		value, err := url.QueryUnescape(rawValue)
		if err != nil {
			return "", incompleteSignature("The query string is not well formed.")
		}
		pairs = append(pairs, pair{escape(name, false), escape(value, false)})
	}
	slices.SortFunc(pairs, func(a, b pair) int {
		if c := strings.Compare(a.name, b.name); c != 0 {
			return c
		}
		return strings.Compare(a.value, b.value)
	})
	out := make([]string, len(pairs))
	for i, p := range pairs {
		out[i] = p.name + "=" + p.value
	}
	return strings.Join(out, "&"), nil
}

// escape is URI encoding as SigV4 defines it: everything but A-Z a-z 0-9 - . _ ~ (and / in paths) as %XX, upper case.
func escape(s string, inPath bool) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	b.Grow(len(s))
	for i := range len(s) {
		c := s[i]
		if unreserved(c) || inPath && c == '/' {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(digits[c>>4])
		b.WriteByte(digits[c&15])
	}
	return b.String()
}

func unreserved(c byte) bool {
	return 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0
}
