package iam

import (
	"slices"
	"strings"
)

// ManagedPolicy is a policy of AWS that stands ready in every account.
type ManagedPolicy struct {
	// Name is its name, Path "/" or "/service-role/"; Path and Name end its ARN.
	Name, Path string
	// VersionID is the version of the document, such as v3.
	VersionID string
	// Text is the document.
	Text string
	// Exact says that Text holds the same permissions as AWS's document of that version (white space and the order of
	// elements aside). Where it is false, Text is an approximation: what it allows is what a pipeline uses of the
	// policy.
	Exact bool
}

// ARN is arn:aws:iam::aws:policy, path and name.
func (m ManagedPolicy) ARN() string { return managedPrefix + m.Path + m.Name }

const managedPrefix = "arn:aws:iam::aws:policy"

// Policy parses the document. The texts are part of the program and a test parses each, so that the error is
// unexpected.
func (m ManagedPolicy) Policy() (Policy, error) {
	// AWS's own policies are not subject to the quota of managed policies.
	doc, err := Parse(KindInline, m.Text)
	if err != nil {
		return Policy{}, err
	}
	doc.kind = KindManaged
	return Policy{Name: m.ARN(), Document: doc}, nil
}

// Managed finds a managed policy by its name or its ARN, in any partition (arn:aws-cn:…).
func Managed(nameOrARN string) (ManagedPolicy, bool) {
	all := ManagedPolicies()
	wanted := nameOrARN
	if fields := arnSplit(nameOrARN); len(fields) == arnFields && fields[0] == "arn" && strings.HasPrefix(fields[1], "aws") {
		fields[1] = "aws"
		wanted = strings.Join(fields, ":")
	}
	i := slices.IndexFunc(all, func(m ManagedPolicy) bool { return m.Name == wanted || m.ARN() == wanted })
	if i < 0 {
		return ManagedPolicy{}, false
	}
	return all[i], true
}

// ManagedPolicies lists the managed policies by name. Their documents are those of the AWS Managed Policy Reference
// Guide; the comment at each text says where it differs.
func ManagedPolicies() []ManagedPolicy {
	return []ManagedPolicy{
		{Name: "AWSCodeDeployDeployerAccess", Path: "/", VersionID: "v6", Text: codeDeployDeployer},
		{Name: "AWSCodeDeployFullAccess", Path: "/", VersionID: "v6", Text: codeDeployFull},
		{Name: "AWSCodeDeployReadOnlyAccess", Path: "/", VersionID: "v6", Text: codeDeployReadOnly, Exact: true},
		{Name: "AWSCodeDeployRoleForECS", Path: "/", VersionID: "v3", Text: codeDeployForECS, Exact: true},
		{Name: "AWSCodeDeployRoleForECSLimited", Path: "/", VersionID: "v3", Text: codeDeployForECSLimited, Exact: true},
		{Name: "AWSLambdaBasicExecutionRole", Path: "/service-role/", VersionID: "v1", Text: lambdaBasicExecution, Exact: true},
		{Name: "AWSLambdaRole", Path: "/service-role/", VersionID: "v1", Text: lambdaInvoke, Exact: true},
		{Name: "AWSLambda_FullAccess", Path: "/", VersionID: "v2", Text: lambdaFull, Exact: true},
		{Name: "AdministratorAccess", Path: "/", VersionID: "v1", Text: administrator, Exact: true},
		{Name: "AmazonECSTaskExecutionRolePolicy", Path: "/service-role/", VersionID: "v1", Text: taskExecution, Exact: true},
		{Name: "PowerUserAccess", Path: "/", VersionID: "v12", Text: powerUser, Exact: true},
	}
}
