// Package lambda answers the Lambda operations (API version 2015-03-31) as far as hooks use them: functions from zip
// files, their configuration, versions, aliases and invocations.
package lambda

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"greengate/internal/awsapi"
	shape "greengate/internal/awsapi/shapes/lambda"
	"greengate/internal/cloud"
)

// Resources keeps functions; *cloud.Cloud is one.
type Resources interface {
	State() cloud.State
	Update(ctx context.Context, edit func(d *cloud.Draft) error) error
}

// Code keeps the code of functions.
type Code interface {
	// Store unpacks a zip file for a function and returns its folder. What is wrong with the file is a *BundleError.
	Store(ctx context.Context, function, digest string, zip []byte) (dir string, err error)
}

// BundleError is why a zip file is refused.
type BundleError struct{ Reason string }

// Error implements the error interface.
func (e *BundleError) Error() string { return e.Reason }

// Invocation is one call of a function.
type Invocation struct {
	Function cloud.Function
	Version  cloud.FunctionVersion
	Payload  []byte
}

// Result is how an invocation ended.
type Result struct {
	// ErrorType is empty where the handler returned; Payload is what it returned, else the error as Lambda tells it.
	ErrorType string
	Payload   []byte
	Log       []byte // the last 4 KB
}

// Invoker runs functions.
type Invoker interface {
	// Invoke begins an invocation durably and returns its id.
	Invoke(ctx context.Context, inv Invocation) (id string, err error)
	// Await returns how it ended.
	Await(ctx context.Context, id string) (Result, error)
}

// Config is what a Service needs.
type Config struct {
	Region, AccountID string
	Resources         Resources
	Code              Code
	Invoker           Invoker
	Now               func() time.Time
}

// Service answers Lambda.
type Service struct{ cfg Config }

// New returns a Service.
func New(cfg Config) *Service { return &Service{cfg: cfg} }

// Handlers are the operations that are served. Permissions of functions (resource policies) are not.
func (s *Service) Handlers() awsapi.Handlers {
	on := func(ref string) []string { name, _ := cloud.FunctionName(ref); return []string{s.arn(name, "")} }
	return awsapi.Handlers{
		"CreateFunction": awsapi.HandleNeeds(s.createFunction, func(_ awsapi.Principal, in *shape.CreateFunctionRequest) []awsapi.AccessRequest {
			return s.running(in.FunctionName, in.Role)
		}),
		"GetFunction":              awsapi.Handle(s.getFunction, func(in *shape.GetFunctionRequest) []string { return on(in.FunctionName) }),
		"GetFunctionConfiguration": awsapi.Handle(s.getFunctionConfiguration, func(in *shape.GetFunctionConfigurationRequest) []string { return on(in.FunctionName) }),
		"UpdateFunctionCode":       awsapi.Handle(s.updateFunctionCode, func(in *shape.UpdateFunctionCodeRequest) []string { return on(in.FunctionName) }),
		"UpdateFunctionConfiguration": awsapi.HandleNeeds(s.updateFunctionConfiguration, func(_ awsapi.Principal, in *shape.UpdateFunctionConfigurationRequest) []awsapi.AccessRequest {
			return s.running(in.FunctionName, in.Role)
		}),
		"ListFunctions":                awsapi.Handle(s.listFunctions, nil),
		"DeleteFunction":               awsapi.Handle(s.deleteFunction, func(in *shape.DeleteFunctionRequest) []string { return on(in.FunctionName) }),
		"Invoke":                       awsapi.Handle(s.invoke, func(in *shape.InvocationRequest) []string { return on(in.FunctionName) }).As("lambda:InvokeFunction"),
		"PublishVersion":               awsapi.Handle(s.publishVersion, func(in *shape.PublishVersionRequest) []string { return on(in.FunctionName) }),
		"ListVersionsByFunction":       awsapi.Handle(s.listVersions, func(in *shape.ListVersionsByFunctionRequest) []string { return on(in.FunctionName) }),
		"CreateAlias":                  awsapi.Handle(s.createAlias, func(in *shape.CreateAliasRequest) []string { return on(in.FunctionName) }),
		"GetAlias":                     awsapi.Handle(s.getAlias, func(in *shape.GetAliasRequest) []string { return on(in.FunctionName) }),
		"UpdateAlias":                  awsapi.Handle(s.updateAlias, func(in *shape.UpdateAliasRequest) []string { return on(in.FunctionName) }),
		"DeleteAlias":                  awsapi.Handle(s.deleteAlias, func(in *shape.DeleteAliasRequest) []string { return on(in.FunctionName) }),
		"ListAliases":                  awsapi.Handle(s.listAliases, func(in *shape.ListAliasesRequest) []string { return on(in.FunctionName) }),
		"ListTags":                     awsapi.Handle(s.listTags, func(in *shape.ListTagsRequest) []string { return on(in.Resource) }),
		"TagResource":                  awsapi.Handle(s.tagResource, func(in *shape.TagResourceRequest) []string { return on(in.Resource) }),
		"UntagResource":                awsapi.Handle(s.untagResource, func(in *shape.UntagResourceRequest) []string { return on(in.Resource) }),
		"GetFunctionCodeSigningConfig": awsapi.Handle(s.getCodeSigning, func(in *shape.GetFunctionCodeSigningConfigRequest) []string { return on(in.FunctionName) }),
		"AddPermission":                awsapi.Handle(s.addPermission, func(in *shape.AddPermissionRequest) []string { return on(in.FunctionName) }),
		"RemovePermission":             awsapi.Handle(s.removePermission, func(in *shape.RemovePermissionRequest) []string { return on(in.FunctionName) }),
		"GetPolicy":                    awsapi.Handle(s.getPolicy, func(in *shape.GetPolicyRequest) []string { return on(in.FunctionName) }),
		"GetFunctionConcurrency":       awsapi.Handle(s.getConcurrency, func(in *shape.GetFunctionConcurrencyRequest) []string { return on(in.FunctionName) }),
	}
}

// running is what giving a function a role needs: the action, and the right to hand the role to Lambda.
func (s *Service) running(function, role string) []awsapi.AccessRequest {
	name, _ := cloud.FunctionName(function)
	needs := []awsapi.AccessRequest{{Resource: s.arn(name, "")}}
	if role != "" {
		needs = append(needs, awsapi.PassRole(role, "lambda.amazonaws.com"))
	}
	return needs
}

func (s *Service) arn(name, qualifier string) string {
	arn := "arn:aws:lambda:" + s.cfg.Region + ":" + s.cfg.AccountID + ":function:" + name
	if qualifier != "" && qualifier != latest {
		arn += ":" + qualifier
	}
	return arn
}

// latest is the version that is not published.
const latest = "$LATEST"

func badInput(format string, args ...any) error {
	return awsapi.Fault("InvalidParameterValueException", format, args...)
}

func (s *Service) find(st cloud.State, ref, qualifier string) (cloud.Function, cloud.FunctionVersion, error) {
	f, v, ok := cloud.FindFunction(st, ref, qualifier)
	if !ok {
		name, q := cloud.FunctionName(ref)
		if qualifier == "" {
			qualifier = q
		}
		return f, v, &awsapi.Error{Name: "ResourceNotFoundException", Message: "Function not found: " + s.arn(name, qualifier), Status: 404}
	}
	return f, v, nil
}

var (
	namePattern    = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
	rolePattern    = regexp.MustCompile(`^arn:aws[a-z-]*:iam::\d{12}:role/?[A-Za-z_0-9+=,.@\-_/]+$`)
	runtimePattern = regexp.MustCompile(`^(python3\.\d+|nodejs\d+\.x|provided(\.al2|\.al2023)?)$`)
	aliasPattern   = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)
)

func (s *Service) createFunction(ctx context.Context, _ awsapi.Principal, in *shape.CreateFunctionRequest) (*shape.FunctionConfiguration, error) {
	name, _ := cloud.FunctionName(in.FunctionName)
	v := cloud.FunctionVersion{Version: latest, Role: in.Role, Timeout: 3 * time.Second, MemoryMB: 128}
	switch {
	case !namePattern.MatchString(name):
		return nil, badInput("The function name '%s' must have 1 to 64 letters, digits, hyphens and underscores.", name)
	case !rolePattern.MatchString(in.Role):
		return nil, badInput("The role '%s' is not the ARN of a role.", in.Role)
	case in.Code == nil || len(in.Code.ZipFile) == 0:
		return nil, badInput("Please provide the code as a zip file (ZipFile); images and objects of S3 are not served.")
	case in.PackageType == shape.PackageTypeImage:
		return nil, badInput("Functions of package type Image are not served; use Zip.")
	}
	if err := configure(&v, settings{string(in.Runtime), in.Handler, in.Role, in.Description, in.Timeout, in.MemorySize, in.Environment}); err != nil {
		return nil, err
	}
	if v.Runtime == "" || v.Handler == "" {
		return nil, badInput("Runtime and Handler are mandatory parameters for functions created with deployment packages.")
	}
	if _, ok := cloud.Find[cloud.Function](s.cfg.Resources.State(), name); ok {
		return nil, s.exists(name)
	}
	if err := s.store(ctx, name, &v, in.Code.ZipFile); err != nil {
		return nil, err
	}
	f := cloud.Function{Name: name, Latest: v, Tags: maps.Clone(in.Tags)}
	err := s.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		if _, ok := cloud.Find[cloud.Function](d.State(), name); ok {
			return s.exists(name)
		}
		if in.Publish != nil && *in.Publish {
			v = publish(&f, "")
		}
		d.Put(f)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return s.configuration(f, v), nil
}

func (s *Service) exists(name string) error {
	return &awsapi.Error{Name: "ResourceConflictException", Message: "Function already exist: " + name, Status: 409}
}

// settings are the members that creating and updating share.
type settings struct {
	runtime, handler, role, description string
	timeout, memory                     *int32
	environment                         *shape.Environment
}

// configure takes over what is given.
func configure(v *cloud.FunctionVersion, in settings) error {
	if in.runtime != "" {
		if !runtimePattern.MatchString(in.runtime) {
			return badInput("The runtime '%s' is not served; use python3.x, nodejsN.x, provided, provided.al2 or provided.al2023.", in.runtime)
		}
		v.Runtime = in.runtime
	}
	if in.role != "" {
		if !rolePattern.MatchString(in.role) {
			return badInput("The role '%s' is not the ARN of a role.", in.role)
		}
		v.Role = in.role
	}
	if in.handler != "" {
		v.Handler = in.handler
	}
	if in.description != "" {
		v.Description = in.description
	}
	if in.timeout != nil {
		if *in.timeout < 1 || *in.timeout > 900 {
			return badInput("The timeout %d is not between 1 and 900 seconds.", *in.timeout)
		}
		v.Timeout = time.Duration(*in.timeout) * time.Second
	}
	if in.memory != nil {
		if *in.memory < 128 || *in.memory > 10240 {
			return badInput("The memory size %d is not between 128 and 10240 MB.", *in.memory)
		}
		v.MemoryMB = int(*in.memory)
	}
	if in.environment != nil {
		v.Env = maps.Clone(in.environment.Variables)
	}
	return nil
}

// store unpacks code and notes it.
func (s *Service) store(ctx context.Context, name string, v *cloud.FunctionVersion, zip []byte) error {
	sum := sha256.Sum256(zip)
	dir, err := s.cfg.Code.Store(ctx, name, hex.EncodeToString(sum[:]), zip)
	if bad, ok := err.(*BundleError); ok { //nolint:errorlint // the port's own type, not wrapped
		return awsapi.Fault("InvalidZipFileException", "Could not unzip uploaded file: %s", bad.Reason)
	}
	if err != nil {
		return fmt.Errorf("store code of function %s: %w", name, err)
	}
	v.CodeDir, v.CodeSHA256, v.CodeSize = dir, base64.StdEncoding.EncodeToString(sum[:]), int64(len(zip))
	s.touch(v)
	return nil
}

// touch notes that a version changed.
func (s *Service) touch(v *cloud.FunctionVersion) {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (its contract since Go 1.24)
	v.RevisionID, v.Modified = fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]), s.cfg.Now()
}

func (s *Service) configuration(f cloud.Function, v cloud.FunctionVersion) *shape.FunctionConfiguration {
	out := &shape.FunctionConfiguration{
		FunctionName: f.Name, FunctionARN: s.arn(f.Name, v.Version), Runtime: shape.Runtime(v.Runtime), Handler: v.Handler, Role: v.Role,
		Description: v.Description, Timeout: new(int32(v.Timeout / time.Second)), MemorySize: new(int32(v.MemoryMB)), //nolint:gosec // bounded
		CodeSha256: v.CodeSHA256, CodeSize: new(v.CodeSize), Version: v.Version, RevisionID: v.RevisionID, PackageType: "Zip",
		LastModified: v.Modified.UTC().Format("2006-01-02T15:04:05.000-0700"), State: "Active", LastUpdateStatus: "Successful",
		Architectures: []shape.Architecture{"x86_64"}, TracingConfig: &shape.TracingConfigResponse{Mode: "PassThrough"},
	}
	if len(v.Env) > 0 {
		out.Environment = &shape.EnvironmentResponse{Variables: v.Env}
	}
	return out
}

func (s *Service) getFunction(_ context.Context, _ awsapi.Principal, in *shape.GetFunctionRequest) (*shape.GetFunctionResponse, error) {
	f, v, err := s.find(s.cfg.Resources.State(), in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	return &shape.GetFunctionResponse{Configuration: s.configuration(f, v), Code: &shape.FunctionCodeLocation{RepositoryType: "S3"}, Tags: f.Tags}, nil
}

func (s *Service) getFunctionConfiguration(_ context.Context, _ awsapi.Principal, in *shape.GetFunctionConfigurationRequest) (*shape.FunctionConfiguration, error) {
	f, v, err := s.find(s.cfg.Resources.State(), in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	return s.configuration(f, v), nil
}

func (s *Service) updateFunctionCode(ctx context.Context, _ awsapi.Principal, in *shape.UpdateFunctionCodeRequest) (*shape.FunctionConfiguration, error) {
	f, v, err := s.find(s.cfg.Resources.State(), in.FunctionName, latest)
	if err != nil {
		return nil, err
	}
	if len(in.ZipFile) == 0 {
		return nil, badInput("Please provide the code as a zip file (ZipFile); images and objects of S3 are not served.")
	}
	if err := s.store(ctx, f.Name, &v, in.ZipFile); err != nil {
		return nil, err
	}
	if in.DryRun != nil && *in.DryRun {
		return s.configuration(f, v), nil
	}
	return s.edit(ctx, f.Name, in.RevisionID, func(f *cloud.Function) (cloud.FunctionVersion, error) {
		f.Latest.CodeDir, f.Latest.CodeSHA256, f.Latest.CodeSize = v.CodeDir, v.CodeSHA256, v.CodeSize
		s.touch(&f.Latest)
		if in.Publish != nil && *in.Publish {
			return publish(f, ""), nil
		}
		return f.Latest, nil
	})
}

// edit changes a function; revision is the one that the caller has seen, where he names one.
func (s *Service) edit(ctx context.Context, ref, revision string, change func(f *cloud.Function) (cloud.FunctionVersion, error)) (*shape.FunctionConfiguration, error) {
	var out *shape.FunctionConfiguration
	err := s.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		f, _, err := s.find(d.State(), ref, latest)
		if err != nil {
			return err
		}
		if revision != "" && revision != f.Latest.RevisionID {
			return &awsapi.Error{Name: "PreconditionFailedException", Message: "The RevisionId provided does not match the latest RevisionId.", Status: 412}
		}
		v, err := change(&f)
		if err != nil {
			return err
		}
		d.Put(f)
		out = s.configuration(f, v)
		return nil
	})
	return out, err
}

func (s *Service) updateFunctionConfiguration(ctx context.Context, _ awsapi.Principal, in *shape.UpdateFunctionConfigurationRequest) (*shape.FunctionConfiguration, error) {
	return s.edit(ctx, in.FunctionName, in.RevisionID, func(f *cloud.Function) (cloud.FunctionVersion, error) {
		err := configure(&f.Latest, settings{string(in.Runtime), in.Handler, in.Role, in.Description, in.Timeout, in.MemorySize, in.Environment})
		s.touch(&f.Latest)
		return f.Latest, err
	})
}

func (s *Service) listFunctions(_ context.Context, _ awsapi.Principal, in *shape.ListFunctionsRequest) (*shape.ListFunctionsResponse, error) {
	out := &shape.ListFunctionsResponse{Functions: []shape.FunctionConfiguration{}}
	n := 50
	if in.MaxItems != nil && *in.MaxItems >= 1 && *in.MaxItems < 50 {
		n = int(*in.MaxItems)
	}
	for _, f := range cloud.All[cloud.Function](s.cfg.Resources.State()) {
		if f.Name <= in.Marker {
			continue
		}
		if len(out.Functions) == n {
			out.NextMarker = out.Functions[n-1].FunctionName
			break
		}
		out.Functions = append(out.Functions, *s.configuration(f, f.Latest))
	}
	return out, nil
}

func (s *Service) deleteFunction(ctx context.Context, _ awsapi.Principal, in *shape.DeleteFunctionRequest) (*shape.DeleteFunctionResponse, error) {
	return &shape.DeleteFunctionResponse{StatusCode: new(int32(204))}, s.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		f, v, err := s.find(d.State(), in.FunctionName, in.Qualifier)
		if err != nil {
			return err
		}
		if v.Version == latest {
			d.Remove(f)
			return nil
		}
		f.Publish = slices.DeleteFunc(slices.Clone(f.Publish), func(p cloud.FunctionVersion) bool { return p.Version == v.Version })
		d.Put(f)
		return nil
	})
}

// publish makes the unpublished version a numbered one.
func publish(f *cloud.Function, description string) cloud.FunctionVersion {
	v := f.Latest
	if n := len(f.Publish); n > 0 && f.Publish[n-1].CodeSHA256 == v.CodeSHA256 && f.Publish[n-1].RevisionID == v.RevisionID {
		return f.Publish[n-1] // nothing changed since: Lambda answers the one that is there
	}
	f.Version++
	v.Version = strconv.Itoa(f.Version)
	if description != "" {
		v.Description = description
	}
	f.Publish = append(slices.Clone(f.Publish), v)
	return v
}

func (s *Service) publishVersion(ctx context.Context, _ awsapi.Principal, in *shape.PublishVersionRequest) (*shape.FunctionConfiguration, error) {
	return s.edit(ctx, in.FunctionName, in.RevisionID, func(f *cloud.Function) (cloud.FunctionVersion, error) {
		if in.CodeSha256 != "" && in.CodeSha256 != f.Latest.CodeSHA256 {
			return cloud.FunctionVersion{}, badInput("CodeSHA256 (%s) is different from current CodeSHA256 in $LATEST (%s).", in.CodeSha256, f.Latest.CodeSHA256)
		}
		return publish(f, in.Description), nil
	})
}

func (s *Service) listVersions(_ context.Context, _ awsapi.Principal, in *shape.ListVersionsByFunctionRequest) (*shape.ListVersionsByFunctionResponse, error) {
	f, _, err := s.find(s.cfg.Resources.State(), in.FunctionName, latest)
	if err != nil {
		return nil, err
	}
	out := &shape.ListVersionsByFunctionResponse{Versions: []shape.FunctionConfiguration{*s.configuration(f, f.Latest)}}
	out.Versions[0].FunctionARN += ":" + latest // as every entry of this list names its version
	for _, v := range f.Publish {
		out.Versions = append(out.Versions, *s.configuration(f, v))
	}
	return out, nil
}

func (s *Service) getCodeSigning(_ context.Context, _ awsapi.Principal, in *shape.GetFunctionCodeSigningConfigRequest) (*shape.GetFunctionCodeSigningConfigResponse, error) {
	f, _, err := s.find(s.cfg.Resources.State(), in.FunctionName, "")
	return &shape.GetFunctionCodeSigningConfigResponse{FunctionName: f.Name}, err
}

func (s *Service) getConcurrency(_ context.Context, _ awsapi.Principal, in *shape.GetFunctionConcurrencyRequest) (*shape.GetFunctionConcurrencyResponse, error) {
	_, _, err := s.find(s.cfg.Resources.State(), in.FunctionName, "")
	return &shape.GetFunctionConcurrencyResponse{}, err
}

// invoke calls a function: RequestResponse waits for its answer, Event does not, DryRun only asks whether it could be.
func (s *Service) invoke(ctx context.Context, _ awsapi.Principal, in *shape.InvocationRequest) (*shape.InvocationResponse, error) {
	f, v, err := s.find(s.cfg.Resources.State(), in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	if len(in.Payload) > 0 && !json.Valid(in.Payload) {
		return nil, awsapi.Fault("InvalidRequestContentException", "Could not parse request body into json.")
	}
	out := &shape.InvocationResponse{ExecutedVersion: v.Version}
	if in.InvocationType == shape.InvocationTypeDryRun {
		out.StatusCode = new(int32(204))
		return out, nil
	}
	id, err := s.cfg.Invoker.Invoke(ctx, Invocation{Function: f, Version: v, Payload: in.Payload})
	if err != nil {
		return nil, fmt.Errorf("invoke function %s: %w", f.Name, err)
	}
	if in.InvocationType == shape.InvocationTypeEvent {
		out.StatusCode = new(int32(202))
		return out, nil
	}
	r, err := s.cfg.Invoker.Await(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("await function %s: %w", f.Name, err)
	}
	out.StatusCode, out.Payload = new(int32(200)), r.Payload
	if r.ErrorType != "" {
		out.FunctionError = "Unhandled"
	}
	if strings.EqualFold(string(in.LogType), "Tail") {
		out.LogResult = base64.StdEncoding.EncodeToString(r.Log)
	}
	return out, nil
}
