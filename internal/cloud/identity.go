package cloud

import "time"

// Grants are the permissions policies of an identity.
type Grants struct {
	// Inline are policy documents by their names.
	Inline map[string]string `json:"inline,omitempty"`
	// Attached are ARNs of managed policies, ours and AWS's.
	Attached []string `json:"attached,omitempty"`
}

// IAMRole is a role. Its key is its name, whatever its path.
type IAMRole struct {
	Name        string    `json:"name"`
	Path        string    `json:"path"`
	ID          string    `json:"id"` // AROA…
	Trust       string    `json:"trust"`
	Description string    `json:"description,omitempty"`
	MaxSession  int       `json:"maxSession,omitempty"` // seconds
	Created     time.Time `json:"created"`
	Grants
	Tags map[string]string `json:"tags,omitempty"`
}

// ResourceKind implements Resource.
func (IAMRole) ResourceKind() Kind { return KindRole }

// ResourceKey implements Resource.
func (r IAMRole) ResourceKey() string { return r.Name }

// ARN is that of the role.
func (r IAMRole) ARN(account string) string {
	return "arn:aws:iam::" + account + ":role" + r.Path + r.Name
}

// IAMPolicy is a customer managed policy with its versions.
type IAMPolicy struct {
	Name        string            `json:"name"`
	Path        string            `json:"path"`
	ID          string            `json:"id"` // ANPA…
	Description string            `json:"description,omitempty"`
	Default     string            `json:"default"` // "v1"
	Versions    []PolicyVersion   `json:"versions"`
	Next        int               `json:"next"` // number of the next version
	Created     time.Time         `json:"created"`
	Updated     time.Time         `json:"updated"`
	Tags        map[string]string `json:"tags,omitempty"`
}

// PolicyVersion is one document of a managed policy.
type PolicyVersion struct {
	ID       string    `json:"id"`
	Document string    `json:"document"`
	Created  time.Time `json:"created"`
}

// ResourceKind implements Resource.
func (IAMPolicy) ResourceKind() Kind { return KindPolicy }

// ResourceKey implements Resource.
func (p IAMPolicy) ResourceKey() string { return p.Name }

// ARN is that of the policy.
func (p IAMPolicy) ARN(account string) string {
	return "arn:aws:iam::" + account + ":policy" + p.Path + p.Name
}

// IAMUser is a user with its access keys.
type IAMUser struct {
	Name    string    `json:"name"`
	Path    string    `json:"path"`
	ID      string    `json:"id"` // AIDA…
	Created time.Time `json:"created"`
	Grants
	Keys []AccessKey       `json:"keys,omitempty"`
	Tags map[string]string `json:"tags,omitempty"`
}

// AccessKey is a long-lived key of a user. Its secret is stored nowhere: it is derived from the id and the installation's
// master key.
type AccessKey struct {
	ID      string    `json:"id"` // AKIA…
	Active  bool      `json:"active"`
	Created time.Time `json:"created"`
}

// ResourceKind implements Resource.
func (IAMUser) ResourceKind() Kind { return KindUser }

// ResourceKey implements Resource.
func (u IAMUser) ResourceKey() string { return u.Name }

// ARN is that of the user.
func (u IAMUser) ARN(account string) string {
	return "arn:aws:iam::" + account + ":user" + u.Path + u.Name
}
