package awsapi

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"greengate/internal/awsapi/shapes"
	"greengate/internal/awsapi/shapes/codedeploy"
	"greengate/internal/cloud"
	"greengate/internal/deploy"
)

// Types of revisions.
const (
	revisionS3     = "S3"
	revisionString = "String"
)

func invalidRevision(why string) error {
	return fault("InvalidRevisionException", "The revision was specified in an invalid format: "+why)
}

// readRevision reads where a revision is. Where needed its content must be there; else its digest is enough.
func readRevision(in *codedeploy.RevisionLocation, needed bool) (cloud.Revision, error) {
	if in == nil {
		return cloud.Revision{}, fault("RevisionRequiredException", "The revision ID was not specified.")
	}
	switch in.RevisionType {
	case codedeploy.RevisionLocationTypeAppSpecContent:
		if in.AppSpecContent == nil {
			return cloud.Revision{}, invalidRevision("appSpecContent is missing.")
		}
		return contentRevision(string(in.RevisionType), in.AppSpecContent.Content, in.AppSpecContent.Sha256, needed)
	case codedeploy.RevisionLocationTypeString:
		if in.String == nil {
			return cloud.Revision{}, invalidRevision("string is missing.")
		}
		return contentRevision(revisionString, in.String.Content, in.String.Sha256, needed)
	case codedeploy.RevisionLocationTypeS3:
		return s3Revision(in.S3Location)
	case codedeploy.RevisionLocationTypeGitHub:
		return cloud.Revision{}, invalidRevision("revisions from GitHub are of the Server compute platform.")
	}
	return cloud.Revision{}, invalidRevision("revisionType is AppSpecContent, S3 or String for the ECS compute platform.")
}

func contentRevision(kind, content, digest string, needed bool) (cloud.Revision, error) {
	r := cloud.Revision{Type: kind, SHA256: digest, Content: content}
	if content == "" {
		if needed || digest == "" {
			return r, invalidRevision("the content is missing.")
		}
		return r, nil
	}
	sum := sha256.Sum256([]byte(content))
	r.SHA256 = hex.EncodeToString(sum[:])
	if digest != "" && digest != r.SHA256 {
		return r, invalidRevision("sha256 is not the digest of the content, which is " + r.SHA256 + ".") // unconfirmed
	}
	return r, nil
}

func s3Revision(in *codedeploy.S3Location) (cloud.Revision, error) {
	if in == nil || in.Bucket == "" || in.Key == "" {
		return cloud.Revision{}, invalidRevision("s3Location needs bucket and key.")
	}
	kind := strings.ToUpper(string(in.BundleType))
	if kind != "YAML" && kind != "JSON" {
		return cloud.Revision{}, invalidRevision("the bundleType of an ECS revision is YAML or JSON.")
	}
	return cloud.Revision{Type: revisionS3, Bucket: in.Bucket, Object: in.Key, BundleType: kind, Version: in.Version, ETag: in.ETag}, nil
}

// location draws where a revision is. The content is there only for who asks for the revision itself.
func location(r cloud.Revision, content bool) *codedeploy.RevisionLocation {
	out := source(deploy.Source{Type: r.Type, SHA256: r.SHA256, Bucket: r.Bucket, Key: r.Object, BundleType: r.BundleType, Version: r.Version, ETag: r.ETag})
	switch {
	case !content:
	case out.AppSpecContent != nil:
		out.AppSpecContent.Content = r.Content
	case out.String != nil:
		out.String.Content = r.Content
	}
	return out
}

// source draws where a deployment's revision comes from.
func source(s deploy.Source) *codedeploy.RevisionLocation {
	out := &codedeploy.RevisionLocation{RevisionType: codedeploy.RevisionLocationType(s.Type)}
	switch s.Type {
	case revisionS3:
		out.S3Location = &codedeploy.S3Location{Bucket: s.Bucket, Key: s.Key, BundleType: codedeploy.BundleType(s.BundleType), Version: s.Version, ETag: s.ETag}
	case revisionString:
		out.String = &codedeploy.RawString{Sha256: s.SHA256}
	default:
		out.AppSpecContent = &codedeploy.AppSpecContent{Sha256: s.SHA256}
	}
	return out
}

func revisionInfo(r cloud.Revision) *codedeploy.GenericRevisionInfo {
	info := &codedeploy.GenericRevisionInfo{DeploymentGroups: r.Groups, Description: r.Description, RegisterTime: shapes.At(r.Registered)}
	if !r.FirstUsed.IsZero() {
		info.FirstUsedTime, info.LastUsedTime = shapes.At(r.FirstUsed), shapes.At(r.LastUsed)
	}
	return info
}

func (c *codeDeploy) registerApplicationRevision(ctx context.Context, by Principal, in *codedeploy.RegisterApplicationRevisionInput) (*nothing, error) {
	if err := c.allow(ctx, by, "RegisterApplicationRevision", &groupName{application: in.ApplicationName}); err != nil {
		return nil, err
	}
	if err := checkApplicationName(in.ApplicationName); err != nil {
		return nil, err
	}
	if len(in.Description) > maxDescription {
		return nil, errDescriptionTooLong
	}
	r, err := readRevision(in.Revision, true)
	if err != nil {
		return nil, err
	}
	return &nothing{}, c.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		if _, err := c.application(d.State(), in.ApplicationName); err != nil {
			return err
		}
		c.register(d, r, in.ApplicationName, in.Description)
		return nil
	})
}

// register stores a revision; one that is known keeps its times.
func (c *codeDeploy) register(d *cloud.Draft, r cloud.Revision, application, description string) cloud.Revision {
	r.Application, r.Registered = application, c.cfg.Now()
	if old, ok := cloud.Find[cloud.Revision](d.State(), r.ResourceKey()); ok {
		r.Registered, r.FirstUsed, r.LastUsed, r.Groups, r.Description = old.Registered, old.FirstUsed, old.LastUsed, old.Groups, old.Description
	}
	if description != "" {
		r.Description = description
	}
	d.Put(r)
	return r
}

// revisionOf finds a registered revision.
func revisionOf(st cloud.State, application string, r cloud.Revision) (cloud.Revision, bool) {
	r.Application = application
	return cloud.Find[cloud.Revision](st, r.ResourceKey())
}

func (c *codeDeploy) getApplicationRevision(ctx context.Context, by Principal, in *codedeploy.GetApplicationRevisionInput) (*codedeploy.GetApplicationRevisionOutput, error) {
	if err := c.allow(ctx, by, "GetApplicationRevision", &groupName{application: in.ApplicationName}); err != nil {
		return nil, err
	}
	if err := checkApplicationName(in.ApplicationName); err != nil {
		return nil, err
	}
	want, err := readRevision(in.Revision, false)
	if err != nil {
		return nil, err
	}
	st := c.cfg.Resources.State()
	if !c.taken(st, in.ApplicationName) {
		return nil, fault("ApplicationDoesNotExistException", "No application found for name: "+in.ApplicationName)
	}
	r, ok := revisionOf(st, in.ApplicationName, want)
	if !ok {
		return nil, fault("RevisionDoesNotExistException", "The named revision does not exist with the user or AWS account.")
	}
	return &codedeploy.GetApplicationRevisionOutput{ApplicationName: in.ApplicationName, Revision: location(r, true), RevisionInfo: revisionInfo(r)}, nil
}

func (c *codeDeploy) batchGetApplicationRevisions(ctx context.Context, by Principal, in *codedeploy.BatchGetApplicationRevisionsInput) (*codedeploy.BatchGetApplicationRevisionsOutput, error) {
	if err := c.allow(ctx, by, "BatchGetApplicationRevisions", &groupName{application: in.ApplicationName}); err != nil {
		return nil, err
	}
	if err := checkApplicationName(in.ApplicationName); err != nil {
		return nil, err
	}
	switch {
	case len(in.Revisions) == 0:
		return nil, fault("RevisionRequiredException", "The revision ID was not specified.")
	case len(in.Revisions) > maxBatch:
		return nil, fault("BatchLimitExceededException", "The maximum number of revisions in one request is 25.")
	}
	st := c.cfg.Resources.State()
	if !c.taken(st, in.ApplicationName) {
		return nil, fault("ApplicationDoesNotExistException", "No application found for name: "+in.ApplicationName)
	}
	out := &codedeploy.BatchGetApplicationRevisionsOutput{ApplicationName: in.ApplicationName, Revisions: []codedeploy.RevisionInfo{}}
	for i := range in.Revisions {
		want, err := readRevision(&in.Revisions[i], false)
		if err != nil {
			return nil, err
		}
		r, ok := revisionOf(st, in.ApplicationName, want)
		if !ok {
			out.ErrorMessage = "Some of the revisions do not exist."
			continue
		}
		out.Revisions = append(out.Revisions, codedeploy.RevisionInfo{RevisionLocation: location(r, true), GenericRevisionInfo: revisionInfo(r)})
	}
	return out, nil
}

func (c *codeDeploy) listApplicationRevisions(ctx context.Context, by Principal, in *codedeploy.ListApplicationRevisionsInput) (*codedeploy.ListApplicationRevisionsOutput, error) {
	if err := c.allow(ctx, by, "ListApplicationRevisions", &groupName{application: in.ApplicationName}); err != nil {
		return nil, err
	}
	if err := checkApplicationName(in.ApplicationName); err != nil {
		return nil, err
	}
	switch {
	case in.SortBy != "" && !in.SortBy.Known():
		return nil, fault("InvalidSortByException", "The column name to sort by is not present or was specified in an invalid format.")
	case in.SortOrder != "" && !in.SortOrder.Known():
		return nil, fault("InvalidSortOrderException", "The sort order was specified in an invalid format.")
	case in.Deployed != "" && !in.Deployed.Known():
		return nil, fault("InvalidDeployedStateFilterException", "The deployed state filter was specified in an invalid format.")
	case in.S3KeyPrefix != "" && in.S3Bucket == "":
		return nil, fault("BucketNameFilterRequiredException", "A bucket name is required, but was not provided.")
	}
	st := c.cfg.Resources.State()
	if !c.taken(st, in.ApplicationName) {
		return nil, fault("ApplicationDoesNotExistException", "No application found for name: "+in.ApplicationName)
	}
	list := slices.DeleteFunc(cloud.All[cloud.Revision](st), func(r cloud.Revision) bool { return r.Application != in.ApplicationName || !listed(r, in) })
	sortRevisions(list, in)
	keys := make([]string, len(list))
	for i, r := range list {
		keys[i] = r.ResourceKey()
	}
	last, err := readPageToken(pageRevisions, in.NextToken)
	if err != nil {
		return nil, err
	}
	start := slices.Index(keys, last) + 1 // 0 where there is no token
	out := &codedeploy.ListApplicationRevisionsOutput{Revisions: []codedeploy.RevisionLocation{}}
	for i := start; i < len(list); i++ {
		if i == start+pageSize {
			out.NextToken = newPageToken(pageRevisions, keys[i-1])
			break
		}
		out.Revisions = append(out.Revisions, *location(list[i], false))
	}
	return out, nil
}

const pageRevisions = "revisions"

func listed(r cloud.Revision, in *codedeploy.ListApplicationRevisionsInput) bool {
	if in.S3Bucket != "" && (r.Bucket != in.S3Bucket || !strings.HasPrefix(r.Object, in.S3KeyPrefix)) {
		return false
	}
	used := !r.FirstUsed.IsZero()
	return in.Deployed != codedeploy.ListStateFilterActionInclude && in.Deployed != codedeploy.ListStateFilterActionExclude ||
		used == (in.Deployed == codedeploy.ListStateFilterActionInclude)
}

func sortRevisions(list []cloud.Revision, in *codedeploy.ListApplicationRevisionsInput) {
	slices.SortStableFunc(list, func(a, b cloud.Revision) int {
		switch in.SortBy {
		case codedeploy.ApplicationRevisionSortByFirstUsedTime:
			return a.FirstUsed.Compare(b.FirstUsed)
		case codedeploy.ApplicationRevisionSortByLastUsedTime:
			return a.LastUsed.Compare(b.LastUsed)
		case codedeploy.ApplicationRevisionSortByRegisterTime:
		}
		return a.Registered.Compare(b.Registered)
	})
	if in.SortOrder == codedeploy.SortOrderDescending {
		slices.Reverse(list)
	}
}
