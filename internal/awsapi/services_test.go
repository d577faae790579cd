package awsapi

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"greengate/internal/awsapi/shapes"
	"greengate/internal/awsapi/shapes/cloudwatch"
	"greengate/internal/awsapi/shapes/ecs"
	"greengate/internal/awsapi/shapes/elbv2"
	"greengate/internal/awsapi/shapes/iam"
	"greengate/internal/awsapi/shapes/lambda"
	"greengate/internal/awsapi/shapes/logs"
	"greengate/internal/awsapi/shapes/s3"
	"greengate/internal/awsapi/shapes/sns"
	"greengate/internal/awsapi/shapes/sts"
)

// stubs answer one or two operations of each service, from memory.
type stubs struct {
	mu      sync.Mutex
	alarms  []cloudwatch.MetricAlarm
	metrics []string
	untag   []string
	objects map[string]object // by bucket/key
}

type object struct {
	body []byte
	in   s3.PutObjectRequest
}

func stubTime() *shapes.Timestamp { return shapes.At(time.UnixMilli(1795348800250).UTC()) }

// by makes an operation of a function over shapes alone.
func by[In, Out any](f func(in *In) (*Out, error)) operation {
	return typed(func(_ context.Context, _ Principal, in *In) (*Out, error) { return f(in) })
}

func (s *stubs) operations() map[target]operation {
	return map[target]operation{
		{"ecs", "DescribeServices"}: by(func(in *ecs.DescribeServicesRequest) (*ecs.DescribeServicesResponse, error) {
			if in.Services[0] == "missing" {
				return nil, fault("ClusterNotFoundException", "Cluster not found.")
			}
			return &ecs.DescribeServicesResponse{Services: []ecs.Service{{
				ServiceName: in.Services[0], DesiredCount: new(int32(2)), CreatedAt: stubTime(), TaskSets: []ecs.TaskSet{{Status: "PRIMARY"}},
			}}}, nil
		}),
		{"elasticloadbalancing", "DescribeLoadBalancers"}: by(describeLoadBalancers),
		{"lambda", "CreateFunction"}: by(func(in *lambda.CreateFunctionRequest) (*lambda.FunctionConfiguration, error) {
			return &lambda.FunctionConfiguration{
				FunctionARN: "arn:aws:lambda:us-east-1:000000000000:function:" + in.FunctionName, CodeSize: new(int64(len(in.Code.ZipFile))),
				Environment: &lambda.EnvironmentResponse{Variables: in.Environment.Variables},
			}, nil
		}),
		{"lambda", "ListFunctions"}: by(func(in *lambda.ListFunctionsRequest) (*lambda.ListFunctionsResponse, error) {
			return &lambda.ListFunctionsResponse{Functions: []lambda.FunctionConfiguration{{FunctionName: fmt.Sprint("hook-", *in.MaxItems)}}}, nil
		}),
		{"lambda", "Invoke"}: by(invoke),
		{"lambda", "UntagResource"}: by(func(in *lambda.UntagResourceRequest) (*nothing, error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.untag = in.TagKeys
			return &nothing{}, nil
		}),
		{"logs", "PutLogEvents"}: by(func(in *logs.PutLogEventsRequest) (*logs.PutLogEventsResponse, error) {
			if in.LogGroupName == "missing" {
				return nil, fault("ResourceNotFoundException", "The specified log group does not exist.")
			}
			return &logs.PutLogEventsResponse{NextSequenceToken: in.LogEvents[0].Message + fmt.Sprint(*in.LogEvents[0].Timestamp)}, nil
		}),
		{"cloudwatch", "PutMetricAlarm"}: by(s.putAlarm),
		{"cloudwatch", "DescribeAlarms"}: by(func(*cloudwatch.DescribeAlarmsInput) (*cloudwatch.DescribeAlarmsOutput, error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			return &cloudwatch.DescribeAlarmsOutput{MetricAlarms: append([]cloudwatch.MetricAlarm{}, s.alarms...)}, nil
		}),
		{"cloudwatch", "SetAlarmState"}: by(func(*cloudwatch.SetAlarmStateInput) (*nothing, error) {
			return nil, fault("ResourceNotFound", "There is no such alarm.")
		}),
		{"cloudwatch", "PutMetricData"}: by(func(in *cloudwatch.PutMetricDataInput) (*nothing, error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			for _, m := range in.MetricData {
				s.metrics = append(s.metrics, m.MetricName)
			}
			return &nothing{}, nil
		}),
		{"iam", "GetRole"}: by(func(in *iam.GetRoleRequest) (*iam.GetRoleResponse, error) {
			if in.RoleName == "missing" {
				return nil, fault("NoSuchEntityException", "The role with name missing cannot be found.")
			}
			return &iam.GetRoleResponse{Role: &iam.Role{
				RoleName: in.RoleName, ARN: "arn:aws:iam::000000000000:role/deployer", Path: "/", RoleID: "AROA", CreateDate: stubTime(),
				AssumeRolePolicyDocument: `%7B%22Statement%22%3A%5B%7B%22Principal%22%3A%22ecs%22%7D%5D%7D`,
			}}, nil
		}),
		{"sts", "GetCallerIdentity"}: typed(func(_ context.Context, p Principal, _ *sts.GetCallerIdentityRequest) (*sts.GetCallerIdentityResponse, error) {
			return &sts.GetCallerIdentityResponse{ARN: p.ARN, Account: "000000000000", UserID: "000000000000"}, nil
		}),
		{"sts", "AssumeRole"}: by(func(*sts.AssumeRoleRequest) (*sts.AssumeRoleResponse, error) {
			return nil, fault("AccessDeniedException", "not for you")
		}),
		{"sns", "Publish"}: by(func(in *sns.PublishInput) (*sns.PublishResponse, error) {
			return &sns.PublishResponse{MessageID: in.Message + "/" + in.MessageAttributes["k"].StringValue}, nil
		}),
		{"s3", "CreateBucket"}: by(func(in *s3.CreateBucketRequest) (*s3.CreateBucketOutput, error) {
			return &s3.CreateBucketOutput{Location: "/" + in.Bucket}, nil
		}),
		{"s3", "PutObject"}:     by(s.putObject),
		{"s3", "GetObject"}:     by(s.getObject),
		{"s3", "HeadObject"}:    by(s.headObject),
		{"s3", "ListObjectsV2"}: by(s.listObjects),
		{"s3", "GetBucketLocation"}: by(func(*s3.GetBucketLocationRequest) (*s3.GetBucketLocationOutput, error) {
			return &s3.GetBucketLocationOutput{LocationConstraint: "eu-west-1"}, nil
		}),
		{"s3", "DeleteObjects"}: by(func(in *s3.DeleteObjectsRequest) (*s3.DeleteObjectsOutput, error) {
			out := &s3.DeleteObjectsOutput{}
			for _, o := range in.Delete.Objects {
				out.Deleted = append(out.Deleted, s3.DeletedObject{Key: o.Key})
			}
			return out, nil
		}),
	}
}

func describeLoadBalancers(in *elbv2.DescribeLoadBalancersInput) (*elbv2.DescribeLoadBalancersOutput, error) {
	if len(in.Names) > 0 && in.Names[0] == "missing" {
		return nil, fault("LoadBalancerNotFoundException", "Load balancers '[missing]' not found")
	}
	name, next := "a", "more"
	if in.Marker == next {
		name, next = "b", ""
	}
	return &elbv2.DescribeLoadBalancersOutput{NextMarker: next, LoadBalancers: []elbv2.LoadBalancer{{
		LoadBalancerName: name, CreatedTime: stubTime(), State: &elbv2.LoadBalancerState{Code: "active"}, AvailabilityZones: []elbv2.AvailabilityZone{},
	}}}, nil
}

func invoke(in *lambda.InvocationRequest) (*lambda.InvocationResponse, error) {
	switch {
	case in.FunctionName == "missing":
		return nil, fault("ResourceNotFoundException", "Function not found: missing")
	case in.InvocationType == "Event":
		return &lambda.InvocationResponse{StatusCode: new(int32(202))}, nil
	}
	return &lambda.InvocationResponse{
		Payload: append([]byte("echo "), in.Payload...), LogResult: string(in.LogType), FunctionError: in.FunctionName, ExecutedVersion: in.Qualifier,
		StatusCode: new(int32(200)),
	}, nil
}

func (s *stubs) putAlarm(in *cloudwatch.PutMetricAlarmInput) (*nothing, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.alarms = append(s.alarms, cloudwatch.MetricAlarm{
		AlarmName: in.AlarmName, Threshold: in.Threshold, ActionsEnabled: in.ActionsEnabled, Dimensions: in.Dimensions, StateUpdatedTimestamp: stubTime(),
	})
	return &nothing{}, nil
}

func etag(b []byte) string {
	sum := md5.Sum(b)
	return `"` + hex.EncodeToString(sum[:]) + `"`
}

func (s *stubs) putObject(in *s3.PutObjectRequest) (*s3.PutObjectOutput, error) {
	b, err := io.ReadAll(in.Body)
	if err != nil {
		return nil, fmt.Errorf("read object: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.objects[in.Bucket+"/"+in.Key] = object{b, *in}
	return &s3.PutObjectOutput{ETag: etag(b)}, nil
}

func (s *stubs) find(bucket, key string) (object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, ok := s.objects[bucket+"/"+key]
	if !ok {
		return o, fault("NoSuchKey", "The specified key does not exist.")
	}
	return o, nil
}

func (s *stubs) getObject(in *s3.GetObjectRequest) (*s3.GetObjectOutput, error) {
	o, err := s.find(in.Bucket, in.Key)
	if err != nil {
		return nil, err
	}
	return &s3.GetObjectOutput{
		Body: io.NopCloser(bytes.NewReader(o.body)), ContentLength: new(int64(len(o.body))), ETag: etag(o.body), ContentType: o.in.ContentType,
		Metadata: o.in.Metadata, LastModified: stubTime(),
	}, nil
}

func (s *stubs) headObject(in *s3.HeadObjectRequest) (*s3.HeadObjectOutput, error) {
	o, err := s.find(in.Bucket, in.Key)
	if err != nil {
		return nil, err
	}
	return &s3.HeadObjectOutput{ContentLength: new(int64(len(o.body))), LastModified: stubTime()}, nil
}

func (s *stubs) listObjects(in *s3.ListObjectsV2Request) (*s3.ListObjectsV2Output, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := &s3.ListObjectsV2Output{Name: in.Bucket, EncodingType: in.EncodingType}
	for _, name := range slices.Sorted(maps.Keys(s.objects)) {
		if key, ok := strings.CutPrefix(name, in.Bucket+"/"); ok {
			out.Contents = append(out.Contents, s3.Object{Key: escape(key, true), Size: new(int64(len(s.objects[name].body))), LastModified: stubTime()})
		}
	}
	out.KeyCount = new(int32(len(out.Contents)))
	return out, nil
}

// serveStubs starts a server with the stubs of all services.
func serveStubs(t *testing.T, prepare ...func(*Server, *stubs)) (*endpoint, *stubs) {
	t.Helper()
	s := &stubs{objects: map[string]object{}}
	e := serveWith(t, nil, func(server *Server) {
		maps.Copy(server.operations, s.operations())
		for _, p := range prepare {
			p(server, s)
		}
	})
	return e, s
}

// TestClient_services speaks every protocol with boto3.
func TestClient_services(t *testing.T) {
	t.Parallel()
	e, s := serveStubs(t)
	env := clientEnv(t, e)
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("python3 is not installed: boto3 is not tried")
	}
	if _, why, code := run(t, env, "python3", "-c", "import boto3"); code != 0 {
		t.Skipf("boto3 is not installed and not tried: %s", why)
	}
	stdout, stderr, code := run(t, env, "python3", "testdata/services.py", strings.Replace(e.url, "127.0.0.1", "localhost", 1))
	if code != 0 {
		t.Fatalf("exit %d\n%s%s\n%s", code, stdout, stderr, e.log)
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(stdout), &got); err != nil {
		t.Fatalf("%v: %s", err, stdout)
	}
	if diff := cmp.Diff(servicesSeen(), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.metrics) != 200 || s.metrics[199] != "m199" {
		t.Errorf("compressed metrics: %q", s.metrics)
	}
	if !slices.Equal(s.untag, []string{"a", "b&c"}) {
		t.Errorf("untagged: %q", s.untag)
	}
	if o := s.objects["revisions-path/empty"]; o.in.ContentLength == nil || *o.in.ContentLength != 0 {
		t.Errorf("length of the empty object: %v", o.in.ContentLength)
	}
}

// servicesSeen is what services.py should print.
func servicesSeen() map[string]any {
	refused := func(code, class string, status float64, message string) []any {
		return []any{code, class, status, true, message}
	}
	denied := func(code string, status float64) []any {
		return refused(code, "ClientError", status, errSignatureMismatch.Message)
	}
	objects := func(style string) []any {
		good := []any{true, true, "text/yaml", map[string]any{"colour": "red"}, true}
		return []any{
			"/revisions-" + style, good, good, good,
			[]any{3e6, 1795348800.0},
			[]any{[]any{"app/spec ä+.yaml", 13.0}, []any{"big", 3e6}, []any{"empty", 0.0}, 3.0},
			"eu-west-1",
			[]any{"empty", "a<b"},
			"version: 0.0\n",
			[]any{403.0, true},
			200.0, "presigned",
		}
	}
	objectErrors := []any{
		refused("NoSuchKey", "NoSuchKey", 404, "The specified key does not exist."), refused("404", "ClientError", 404, "Not Found"),
		refused("NotImplemented", "ClientError", 501, "The operation is not known here, or not of this version of S3."),
		refused("NotImplemented", "ClientError", 501, "The operation is not known here, or not of this version of S3."),
	}
	return map[string]any{
		"ecs":          []any{"web", 2.0, 1795348800.25, []any{"PRIMARY"}},
		"ecs_error":    refused("ClusterNotFoundException", "ClusterNotFoundException", 400, "Cluster not found."),
		"ecs_unserved": refused("UnknownOperationException", "ClientError", 400, "The operation ListClusters of ECS is not served here."),
		"elbv2": []any{
			[]any{"a", "active", 1795348800.25, []any{}}, []any{"b", "active", 1795348800.25, []any{}},
		},
		"elbv2_error":     refused("LoadBalancerNotFound", "LoadBalancerNotFoundException", 400, "Load balancers '[missing]' not found"),
		"elbv2_unserved":  refused("InvalidAction", "ClientError", 400, "The operation DescribeRules of Elastic Load Balancing v2 is not served here."),
		"elbv2_wrong":     denied("SignatureDoesNotMatch", 403),
		"lambda_create":   []any{201.0, "arn:aws:lambda:us-east-1:000000000000:function:hook", true, map[string]any{"Variables": map[string]any{"A": "1"}}},
		"lambda_list":     []any{"hook-5"},
		"lambda_invoke":   []any{200.0, `echo {"a": 1}`, "Tail", "arn:aws:lambda:us-east-1:000000000000:function:hook", "1"},
		"lambda_event":    []any{202.0},
		"lambda_untag":    204.0,
		"lambda_error":    refused("ResourceNotFoundException", "ResourceNotFoundException", 404, "Function not found: missing"),
		"lambda_unserved": refused("UnknownOperationException", "ClientError", 404, "The operation is not known here, or not of this version of Lambda."),
		"lambda_wrong":    denied("InvalidSignatureException", 403),
		"logs":            "täßt\n1795348800000",
		"logs_error":      refused("ResourceNotFoundException", "ResourceNotFoundException", 400, "The specified log group does not exist."),
		"cloudwatch": []any{
			"5xx", 0.5, false, []any{map[string]any{"Name": "d", "Value": "v"}}, 1795348800.25,
		},
		"cloudwatch_error":    refused("ResourceNotFound", "ResourceNotFound", 404, "There is no such alarm."),
		"cloudwatch_unserved": refused("UnknownOperationException", "ClientError", 400, "The operation is not known here, or not of this version of CloudWatch."),
		"cloudwatch_wrong":    denied("InvalidSignatureException", 400),
		"iam":                 []any{"deployer", "ecs", 1795348800.25},
		"iam_error":           refused("NoSuchEntity", "NoSuchEntityException", 404, "The role with name missing cannot be found."),
		"sts":                 "arn:aws:iam::000000000000:root",
		"sts_denied":          refused("AccessDenied", "ClientError", 403, "not for you"),
		"sts_presigned":       true,
		"sns":                 "a&b/v",
		"s3_path":             objects("path"), "s3_virtual": objects("virtual"), "s3_errors_path": objectErrors, "s3_errors_virtual": objectErrors,
		"s3_anonymous": refused("AccessDenied", "AccessDenied", 403, "Missing Authentication Token"),
		"s3_wrong":     denied("SignatureDoesNotMatch", 403),
	}
}

func TestClient_awsCLIservices(t *testing.T) {
	t.Parallel()
	e, s := serveStubs(t)
	env := clientEnv(t, e)
	if _, err := exec.LookPath("aws"); err != nil {
		t.Skip("the aws CLI is not installed and not tried")
	}
	if _, _, code := run(t, env, "aws", "--version"); code != 0 {
		t.Skip("the aws CLI does not start and is not tried")
	}
	spec := filepath.Join(t.TempDir(), "appspec.yaml")
	if err := os.WriteFile(spec, []byte("version: 0.0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args string
		code int
		want string // in what it prints
	}{
		{"s3 mb s3://revisions", 0, "make_bucket: revisions"},
		{"s3 cp " + spec + " s3://revisions/app/appspec.yaml", 0, "upload:"},
		{"s3 cp s3://revisions/app/appspec.yaml -", 0, "version: 0.0"},
		{"s3 ls --recursive s3://revisions/", 0, "13 app/appspec.yaml"},
		{"sts get-caller-identity --query Arn --output text", 0, "arn:aws:iam::000000000000:root"},
		{"elbv2 describe-load-balancers --names missing", 255, "(LoadBalancerNotFound) when calling the DescribeLoadBalancers operation"},
		{"cloudwatch describe-alarms --alarm-names x --output json", 0, `"MetricAlarms": []`},
	} {
		stdout, stderr, code := run(t, env, "aws", strings.Fields(c.args)...)
		if code != c.code || !strings.Contains(stdout+stderr, c.want) {
			t.Errorf("aws %s: exit %d, want %d and %q\n%s%s", c.args, code, c.code, c.want, stdout, stderr)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if got := string(s.objects["revisions/app/appspec.yaml"].body); got != "version: 0.0\n" {
		t.Errorf("the object is %q", got)
	}
}
