package cloud

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"greengate/internal/iam"
)

// Judge decides what users and roles may do, by the policies that are stored. It keeps parsed documents, so that a
// decision costs no parsing; it is safe for concurrent use.
type Judge struct {
	account string

	mu     sync.Mutex
	parsed map[string]iam.Policy // by kind and text
}

// NewJudge returns the Judge of an account.
func NewJudge(account string) *Judge {
	return &Judge{account: account, parsed: map[string]iam.Policy{}}
}

// maxParsed bounds how many documents are kept; beyond it all are forgotten, and read again when they are needed.
const maxParsed = 4096

// document parses a document. One that cannot be read, which nobody could have stored, denies everything.
func (j *Judge) document(kind iam.Kind, name, text string) iam.Policy {
	key := string(kind) + "\n" + text
	j.mu.Lock()
	p, ok := j.parsed[key]
	j.mu.Unlock()
	if !ok {
		if doc, err := iam.Parse(kind, text); err == nil {
			p.Document = doc
		}
		j.keep(key, p)
	}
	p.Name = name
	return p
}

func (j *Judge) keep(key string, p iam.Policy) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.parsed) >= maxParsed {
		clear(j.parsed)
	}
	j.parsed[key] = p
}

// Policies are the permissions policies of an identity, inline ones first. A policy that is attached and not there denies
// everything.
func (j *Judge) Policies(st State, g Grants) []iam.Policy {
	list := make([]iam.Policy, 0, len(g.Inline)+len(g.Attached))
	for _, name := range slices.Sorted(maps.Keys(g.Inline)) {
		list = append(list, j.document(iam.KindInline, name, g.Inline[name]))
	}
	for _, arn := range g.Attached {
		list = append(list, j.managed(st, arn))
	}
	return list
}

// managed is a managed policy by its ARN.
func (j *Judge) managed(st State, arn string) iam.Policy {
	if own, ok := FindPolicy(st, j.account, arn); ok {
		v, _ := own.Version(own.Default)
		return j.document(iam.KindManaged, arn, v.Document)
	}
	const key = "aws\n"
	j.mu.Lock()
	p, known := j.parsed[key+arn]
	j.mu.Unlock()
	if known {
		return p
	}
	m, ok := iam.Managed(arn)
	if !ok {
		return iam.Policy{Name: arn}
	}
	p, err := m.Policy()
	if err != nil {
		return iam.Policy{Name: arn}
	}
	j.keep(key+arn, p)
	return p
}

// FindPolicy finds a customer managed policy by its ARN.
func FindPolicy(st State, account, arn string) (IAMPolicy, bool) {
	p, ok := Find[IAMPolicy](st, arn[strings.LastIndexByte(arn, '/')+1:])
	return p, ok && p.ARN(account) == arn
}

// FindRole finds a role by its ARN.
func FindRole(st State, account, arn string) (IAMRole, bool) {
	r, ok := Find[IAMRole](st, arn[strings.LastIndexByte(arn, '/')+1:])
	return r, ok && r.ARN(account) == arn
}

// FindUser finds a user by its ARN.
func FindUser(st State, account, arn string) (IAMUser, bool) {
	u, ok := Find[IAMUser](st, arn[strings.LastIndexByte(arn, '/')+1:])
	return u, ok && u.ARN(account) == arn
}

// Version is a version of the policy by its id.
func (p IAMPolicy) Version(id string) (PolicyVersion, bool) {
	for _, v := range p.Versions {
		if v.ID == id {
			return v, true
		}
	}
	return PolicyVersion{}, false
}

// Session is a role that was taken on, as policies see it.
func (r IAMRole) Session(account, name string) iam.Principal {
	return iam.Principal{
		ARN:     "arn:aws:sts::" + account + ":assumed-role/" + r.Name + "/" + name,
		RoleARN: r.ARN(account), UserID: r.ID + ":" + name,
	}
}

// RoleNeed asks whether a service that takes a role on may do something with it.
type RoleNeed struct {
	// Role is the ARN of the role, as a deployment group or a function names it.
	Role string
	// Service takes the role on: ServiceCodeDeploy or ServiceLambda. Region is where.
	Service, Region string
	// Session is the name of the session; empty where there is none yet.
	Session string
	// Action on Resource is what is needed; without an action the role must only exist and trust the service.
	Action, Resource string
	Context          map[string][]string
	Time             time.Time
}

// The services that take roles on.
const (
	ServiceCodeDeploy = "codedeploy"
	ServiceLambda     = "lambda"
)

// Lack is what keeps a role from what is needed of it.
type Lack string

// What a role may lack.
const (
	LackRole       Lack = "role"       // it is not there
	LackTrust      Lack = "trust"      // it does not trust the service
	LackPermission Lack = "permission" // its policies do not allow the action, or deny it
)

// RoleError says why a role may not do what is needed of it.
type RoleError struct {
	What                   Lack
	Role, Action, Resource string
	// Message names role, action and resource, and the statement that decided where one did.
	Message string
	// Mend is a command of the AWS CLI that mends it.
	Mend string
	// Denied says that a statement forbids it: allowing it elsewhere does not help.
	Denied bool
}

// Error implements the error interface.
func (l *RoleError) Error() string { return l.Message + "; to mend it: " + l.Mend }

// Role says what a role lacks; nil where it lacks nothing.
func (j *Judge) Role(st State, n RoleNeed) *RoleError {
	lack := func(what Lack, mend, format string, args ...any) *RoleError {
		return &RoleError{What: what, Role: n.Role, Action: n.Action, Resource: n.Resource, Message: fmt.Sprintf(format, args...), Mend: mend}
	}
	name := n.Role[strings.LastIndexByte(n.Role, '/')+1:]
	use := "be used"
	if n.Action != "" {
		use = "perform " + n.Action + " on " + n.Resource
	}
	role, ok := FindRole(st, j.account, n.Role)
	if !ok {
		return lack(LackRole, n.create(j.account, name), "role %s cannot %s: the role does not exist in account %s of this installation", n.Role, use, j.account)
	}
	trust := j.document(iam.KindTrust, "trust policy of "+n.Role, role.Trust)
	if t := iam.CanAssume(iam.ServicePrincipal(n.Service, n.Region), trust, "sts:AssumeRole", n.Context); !t.Allowed() || t.Delegated {
		mend := fmt.Sprintf("aws iam update-assume-role-policy --role-name %s --policy-document '%s'", name, trustOf(n.Service))
		return lack(LackTrust, mend, "role %s cannot %s: its trust policy does not let %s.amazonaws.com assume it", n.Role, use, n.Service)
	}
	if n.Action == "" {
		return nil
	}
	r := iam.Request{Principal: role.Session(j.account, n.Session), Action: n.Action, Resource: n.Resource, Context: n.Context, Time: n.Time}
	d := iam.Evaluate(r, j.Policies(st, role.Grants))
	if d.Allowed() {
		return nil
	}
	refused := lack(LackPermission, n.permit(name), "%s", d.Explain(r))
	if refused.Denied = d.Effect == iam.ExplicitDeny; refused.Denied {
		refused.Mend = "take the Deny out of " + d.Statement.String() + ", or narrow it"
	}
	return refused
}

// Need is an action on a resource, with the values that conditions of policies look at.
type Need struct {
	Action, Resource string
	Context          map[string][]string
}

// Work says what a role lacks for all of several needs; nil where it lacks nothing. n has no action of its own.
func (j *Judge) Work(st State, n RoleNeed, needs []Need) *RoleError {
	var first *RoleError
	var also []string
	for _, need := range needs {
		n.Action, n.Resource, n.Context = need.Action, need.Resource, need.Context
		lack := j.Role(st, n)
		switch {
		case lack == nil:
		case first == nil:
			first = lack
			if lack.What != LackPermission || lack.Denied {
				return lack
			}
		default:
			also = append(also, need.Action+" on "+need.Resource)
		}
	}
	if len(also) > 0 {
		first.Message += "; nor may it perform " + strings.Join(also, ", ")
		first.Mend = n.all(n.Role[strings.LastIndexByte(n.Role, '/')+1:])
	}
	return first
}

// all is the command that allows everything that a service role needs.
func (n RoleNeed) all(name string) string {
	if n.Service != ServiceCodeDeploy || !plain(name) {
		return "allow them by a policy of the role"
	}
	return "aws iam attach-role-policy --role-name " + name + " --policy-arn arn:aws:iam::aws:policy/AWSCodeDeployRoleForECS"
}

func trustOf(service string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"` + service + `.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
}

// plain reports whether text may stand in a command that somebody copies.
func plain(text ...string) bool {
	return strings.Trim(strings.Join(text, ""), "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+=,.@_/:-*") == ""
}

// permit is the command that allows what is needed, and no more.
func (n RoleNeed) permit(role string) string {
	if !plain(role, n.Action, n.Resource) {
		return "allow it by a policy of the role"
	}
	return fmt.Sprintf(`aws iam put-role-policy --role-name %s --policy-name %s --policy-document '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"%s","Resource":"%s"}]}'`,
		role, strings.ReplaceAll(n.Action, ":", "-"), n.Action, n.Resource)
}

// create are the commands that make a role which has all that is needed.
func (n RoleNeed) create(account, name string) string {
	fields := strings.SplitN(n.Role, ":", 6)
	if len(fields) != 6 || fields[0] != "arn" || !strings.HasPrefix(fields[5], "role/") || !plain(n.Role) {
		return "name a role by its ARN, arn:aws:iam::" + account + ":role/NAME"
	}
	if fields[4] != account {
		return fmt.Sprintf("name a role of account %s, or start greengate serve with --account-id %s", account, fields[4])
	}
	path := ""
	if p := strings.TrimSuffix(strings.TrimPrefix(fields[5], "role"), name); p != "/" {
		path = " --path " + p
	}
	text := fmt.Sprintf("aws iam create-role --role-name %s%s --assume-role-policy-document '%s'", name, path, trustOf(n.Service))
	switch {
	case n.Service == ServiceCodeDeploy:
		text += " && " + n.all(name)
	case n.Action != "":
		text += " && " + n.permit(name)
	}
	return text
}
