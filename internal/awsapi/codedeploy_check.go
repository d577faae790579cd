package awsapi

import (
	"encoding/base64"
	"errors"
	"strings"
)

// CodeDeploy has an exception for each input; these are the checks that several operations share. Error values are to
// return, never to alter.
var (
	errDeploymentIDRequired    = fault("DeploymentIdRequiredException", "At least one deployment ID must be specified.")
	errApplicationNameRequired = fault("ApplicationNameRequiredException", "The application name must be specified.")
	errGroupNameRequired       = fault("DeploymentGroupNameRequiredException", "The deployment group name must be specified.")
	errInvalidNextToken        = fault("InvalidNextTokenException", "The next token was specified in an invalid format.")
)

// checkDeploymentID wants d- and nine upper-case letters or digits.
func checkDeploymentID(id string) error {
	if id == "" {
		return errDeploymentIDRequired
	}
	rest, ok := strings.CutPrefix(id, "d-")
	if !ok || len(rest) != 9 || strings.Trim(rest, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != "" {
		return fault("InvalidDeploymentIdException", "Specified DeploymentId is not in the valid format.")
	}
	return nil
}

// validName is the rule for applications, groups and configurations: 1 to 100 of A-Z a-z 0-9 . _ + = , @ -.
func validName(s string) bool {
	if s == "" || len(s) > 100 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && (c < '0' || c > '9') && strings.IndexByte("._+=,@-", c) < 0 {
			return false
		}
	}
	return true
}

func checkApplicationName(name string) error {
	if name == "" {
		return errApplicationNameRequired
	}
	if !validName(name) {
		return fault("InvalidApplicationNameException", "The application name was specified in an invalid format.")
	}
	return nil
}

func checkGroupName(application, group string) error {
	if err := checkApplicationName(application); err != nil {
		return err
	}
	if group == "" {
		return errGroupNameRequired
	}
	if !validName(group) {
		return fault("InvalidDeploymentGroupNameException", "The deployment group name was specified in an invalid format.")
	}
	return nil
}

// named reports whether err is the wire error of that name.
func named(err error, name string) bool {
	var e *Error
	return errors.As(err, &e) && e.Name == name
}

// pageSize is how much a List operation answers at once (unconfirmed; AWS does not document it).
const pageSize = 100

// The kinds of pages; a token of one kind is no good for another.
const (
	pageDeployments  = "deployments"
	pageApplications = "applications"
	pageGroups       = "groups"
	pageConfigs      = "configs"
)

// newPageToken makes the opaque token of a page that begins after last.
func newPageToken(kind, last string) string {
	return base64.RawURLEncoding.EncodeToString([]byte("1:" + kind + ":" + last))
}

// readPageToken returns the last item of the page before; an empty token begins at the start. A token is not secret and
// not signed: it only says where to go on, and what may be seen is asked on every page.
func readPageToken(kind, token string) (string, error) {
	if token == "" {
		return "", nil
	}
	if len(token) > 1024 {
		return "", errInvalidNextToken
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil {
		return "", errInvalidNextToken
	}
	last, ok := strings.CutPrefix(string(raw), "1:"+kind+":")
	if !ok || last == "" || kind == pageDeployments && checkDeploymentID(last) != nil {
		return "", errInvalidNextToken
	}
	return last, nil
}

// page cuts a page out of names, which are sorted.
func page(kind string, names []string, token string) (items []string, next string, err error) {
	last, err := readPageToken(kind, token)
	if err != nil {
		return nil, "", err
	}
	items = []string{}
	for _, n := range names {
		if last != "" && n <= last {
			continue
		}
		if len(items) == pageSize {
			return items, newPageToken(kind, items[pageSize-1]), nil
		}
		items = append(items, n)
	}
	return items, "", nil
}
