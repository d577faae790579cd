package cloud

import (
	"encoding/json"
	"time"
)

// Function is a Lambda function: its unpublished version, the published ones and its aliases.
type Function struct {
	Name    string            `json:"name"`
	Latest  FunctionVersion   `json:"latest"`
	Version int               `json:"version,omitempty"` // the last that was published
	Publish []FunctionVersion `json:"publish,omitempty"`
	Aliases map[string]string `json:"aliases,omitempty"` // name to version
	Tags    map[string]string `json:"tags,omitempty"`
	// Permissions are the statements of its resource policies: of the function itself under "", of a version or an alias
	// under its name.
	Permissions map[string][]PermissionStatement `json:"permissions,omitempty"`
}

// PermissionStatement is one statement of a resource policy.
type PermissionStatement struct {
	ID        string          `json:"id"`
	Statement json.RawMessage `json:"statement"`
}

// FunctionVersion is code with its configuration.
type FunctionVersion struct {
	Version     string            `json:"version"` // $LATEST or a number
	Runtime     string            `json:"runtime"`
	Handler     string            `json:"handler,omitempty"`
	Role        string            `json:"role"`
	Description string            `json:"description,omitempty"`
	Timeout     time.Duration     `json:"timeout"`
	MemoryMB    int               `json:"memoryMb"`
	Env         map[string]string `json:"env,omitempty"`
	// CodeSHA256 is of the zip, base64 as the wire has it; CodeDir is where it is unpacked.
	CodeSHA256 string    `json:"codeSha256"`
	CodeSize   int64     `json:"codeSize"`
	CodeDir    string    `json:"codeDir"`
	Modified   time.Time `json:"modified"`
	RevisionID string    `json:"revisionId,omitempty"`
	// Input holds members that are only echoed.
	Input json.RawMessage `json:"input,omitempty"`
}

// ResourceKind implements Resource.
func (Function) ResourceKind() Kind { return KindFunction }

// ResourceKey implements Resource.
func (f Function) ResourceKey() string { return f.Name }
