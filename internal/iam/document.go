package iam

// Limits of documents in characters, white space not counted (reference_iam-quotas, reference_policies_grammar).
const (
	// MaxManaged is the limit of a managed policy.
	MaxManaged = 6144
	// MaxInlineRole is the limit of all inline policies of a role together; add up [Size] over them.
	MaxInlineRole = 10240
	// MaxInlineGroup is the limit of all inline policies of a group together.
	MaxInlineGroup = 5120
	// MaxInlineUser is the limit of all inline policies of a user together.
	MaxInlineUser = 2048
	// MaxTrust is the default limit of a role's trust policy.
	MaxTrust = 2048
	// MaxText is the limit of a document's text, white space included: the limit of the parameter PolicyDocument.
	MaxText = 131072
	// MaxPattern is the limit of one action, resource or condition value. ARNs have at most 2,048 characters
	// (reference-arns); for values of conditions it is our choice.
	MaxPattern = 2048
)

// Versions of the policy language (reference_policies_elements_version).
const (
	// Version2008 is the version of a document that names none; it knows no policy variables.
	Version2008 = "2008-10-17"
	// Version2012 is the current version.
	Version2012 = "2012-10-17"
)

// Kind says where a document is attached, which decides what it may hold.
type Kind string

const (
	// KindManaged is a managed permissions policy.
	KindManaged Kind = "managed"
	// KindInline is a permissions policy inside a role, user or group.
	KindInline Kind = "inline"
	// KindTrust is the trust policy of a role (AssumeRolePolicyDocument).
	KindTrust Kind = "trust"
)

func (k Kind) limit() int {
	switch k {
	case KindManaged:
		return MaxManaged
	case KindInline:
		return MaxInlineRole
	case KindTrust:
		return MaxTrust
	}
	return 0
}

// Document is a parsed policy document. It is never changed after [Parse] and may be used by several goroutines.
type Document struct {
	kind       Kind
	version    string
	id         string
	statements []statement
}

// Kind says what the document was parsed as.
func (d *Document) Kind() Kind { return d.kind }

// Version is the version of the policy language: [Version2008] or [Version2012].
func (d *Document) Version() string { return d.version }

// ID is the document's Id, empty where it has none.
func (d *Document) ID() string { return d.id }

// Len is the number of statements.
func (d *Document) Len() int { return len(d.statements) }

// Position is a place in the text of a document; both count from 1, columns in bytes.
type Position struct {
	Line, Column int
}

type statement struct {
	sid        string
	index      int
	start, end Position
	deny       bool

	actions   []glob
	notAction bool

	// A trust policy has no resources.
	resources   []resource
	notResource bool

	// principals is nil in a permissions policy.
	principals   *principals
	notPrincipal bool

	conditions []condition
}

// resource is one pattern of Resource or NotResource.
type resource struct {
	written string
	// text is expanded at each evaluation where it holds variables; pattern is used where it holds none.
	text    template
	pattern glob
}

// Size counts the characters of a document as the quotas do: white space is free (reference_policies_grammar).
func Size(text string) int {
	n := 0
	for _, r := range text {
		if r != ' ' && r != '\t' && r != '\n' && r != '\r' {
			n++
		}
	}
	return n
}
