package proxy

// Bounds of rules, those of an Application Load Balancer: quotas and "Condition types for listener rules" of its guide.
const (
	// MaxPriority is the last priority; the first is 1.
	MaxPriority = 50000
	// MaxWildcards is how many * and ? all conditions of one rule may have together.
	MaxWildcards = 5

	maxRuleName   = 512
	maxMethod     = 40
	maxHeaderName = 40
)

// Rule is what a listener does with the requests that meet all of its conditions. Rules are tried in rising priority,
// and the first one that applies decides: a rule that forwards to a group without a usable target answers 503, it does
// not leave the request to the next one.
type Rule struct {
	// Name is 1 to 512 visible ASCII characters, unique within its listener.
	Name string `json:"name"`
	// Priority is 1 to 50000, unique within its listener.
	Priority int `json:"priority"`
	// Conditions are one at least.
	Conditions []Condition `json:"conditions"`
	Action     Action      `json:"action"`
}

// Condition looks at one thing of a request, so exactly one of its fields is set. It holds if any of the values matches.
//
// In patterns * stands for any characters or none, ? for exactly one. A pattern is 1 to 128 ASCII characters without
// control characters, and covers the whole of what it is compared with. Requests are compared byte by byte as they
// came: nothing is percent-decoded, and no dot segments are removed.
type Condition struct {
	// HostHeader are patterns of the host, whose port is ignored. Case does not matter. A request without a host
	// has an empty one.
	HostHeader []string `json:"host_header,omitempty"`
	// PathPattern are patterns of the path, without the query. Case matters.
	PathPattern []string `json:"path_pattern,omitempty"`
	// HTTPHeader looks at one header field as the client sent it.
	HTTPHeader *HeaderCondition `json:"http_header,omitempty"`
	// RequestMethod are methods, matched exactly: A-Z - _, at most 40 characters.
	RequestMethod []string `json:"request_method,omitempty"`
	// QueryString looks for parameters.
	QueryString []QueryPattern `json:"query_string,omitempty"`
	// SourceIP are CIDR blocks of the peer's address, IPv4 or IPv6. X-Forwarded-For has no say in it.
	SourceIP []string `json:"source_ip,omitempty"`
}

// HeaderCondition compares a header field. If it is repeated, any of its values may match.
type HeaderCondition struct {
	// Name is that of the field, without wildcards, at most 40 characters. Case does not matter. It cannot be Host.
	Name string `json:"name"`
	// Values are patterns. Case does not matter.
	Values []string `json:"values"`
}

// QueryPattern compares one parameter of the query, key=value between ampersands; one without = has an empty value. Case
// does not matter. \* and \? in a pattern are the characters themselves.
type QueryPattern struct {
	// Key is a pattern; empty means any key.
	Key   string `json:"key,omitempty"`
	Value string `json:"value"` // a pattern
}

// Redirect answers with another URL. Its parts may use what the request asked for: #{protocol}, #{host} (without port),
// #{port} (that of the listener), #{path} (without the leading slash) and #{query} (without the question mark). Parts that
// are left out stay as they are. At least one of protocol, host, port and path must change.
type Redirect struct {
	StatusCode int `json:"status_code"` // 301 or 302
	// Protocol is HTTP, HTTPS or #{protocol}, which is the listener's: HTTP.
	Protocol string `json:"protocol,omitempty"`
	// Host may use #{host}.
	Host string `json:"host,omitempty"`
	// Port is 1 to 65535 or #{port}. The URL always names it.
	Port string `json:"port,omitempty"`
	// Path begins with a slash and may use #{host}, #{path} and #{port}.
	Path string `json:"path,omitempty"`
	// Query may use all of them. Nil is #{query}, empty is none.
	Query *string `json:"query,omitempty"`
}
