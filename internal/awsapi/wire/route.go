package wire

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"greengate/internal/awsapi/shapes"
)

// route is method and path of an operation.
type route struct {
	method   string
	segments []string // "{Bucket}", "{Key+}" or as it stands; decoded
	query    [][2]string
	// needs are the required members in the query string and in headers. They tell operations apart that share a path.
	needs []member
}

func newRoute(o shapes.Operation, in *shape) route {
	path, query, _ := strings.Cut(o.URI, "?")
	r := route{method: o.Method, segments: strings.Split(strings.Trim(path, "/"), "/")}
	if r.method == "" {
		r.method = http.MethodPost
	}
	for part := range strings.SplitSeq(query, "&") {
		if name, value, _ := strings.Cut(part, "="); name != "" {
			r.query = append(r.query, [2]string{name, value})
		}
	}
	if in == nil {
		return r
	}
	for _, m := range in.members {
		if m.required && (m.place == inQuery || m.place == inHeader) {
			r.needs = append(r.needs, m)
		}
	}
	return r
}

func (r *route) weight() int { return 100*len(r.query) + len(r.needs) }

// sortRoutes puts what asks for more first: of two operations that fit a request, the one is meant that fits closer.
func sortRoutes(ops []*Operation) {
	slices.SortStableFunc(ops, func(a, b *Operation) int { return b.route.weight() - a.route.weight() })
}

// Match finds the operation that a request names by method, path and query, and the labels of its path.
func (s *Service) Match(r *Request) (*Operation, map[string]string) {
	path := strings.Split(strings.TrimPrefix(r.Path, "/"), "/")
	for _, op := range s.routes {
		if op.route.method != r.Method || !op.route.fits(r) {
			continue
		}
		if labels, ok := op.route.labels(path); ok {
			return op, labels
		}
	}
	return nil, nil
}

func (r *route) fits(q *Request) bool {
	for _, want := range r.query {
		got, ok := q.Query[want[0]]
		if !ok || want[1] != "" && (len(got) == 0 || got[0] != want[1]) {
			return false
		}
	}
	for _, m := range r.needs {
		if m.place == inQuery && !q.Query.Has(m.name) || m.place == inHeader && q.Header.Get(m.name) == "" {
			return false
		}
	}
	return true
}

// labels matches the segments of an escaped path. A slash at the end of a path without a greedy label means nothing.
func (r *route) labels(path []string) (map[string]string, bool) {
	labels := map[string]string{}
	for i, want := range r.segments {
		name, isLabel := strings.CutPrefix(want, "{")
		if i >= len(path) {
			return nil, false
		}
		if !isLabel {
			if path[i] != want {
				return nil, false
			}
			continue
		}
		name = strings.TrimSuffix(name, "}")
		name, greedy := strings.CutSuffix(name, "+")
		raw := path[i]
		if greedy {
			raw = strings.Join(path[i:], "/")
		}
		value, err := url.PathUnescape(raw)
		if err != nil || value == "" {
			return nil, false
		}
		labels[name] = value
		if greedy {
			return labels, true
		}
	}
	rest := path[len(r.segments):]
	return labels, len(rest) == 0 || len(rest) == 1 && rest[0] == ""
}
