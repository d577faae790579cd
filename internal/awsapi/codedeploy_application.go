package awsapi

import (
	"context"
	"strings"

	"greengate/internal/awsapi/shapes"
	"greengate/internal/awsapi/shapes/codedeploy"
	"greengate/internal/cloud"
)

// Limits of CodeDeploy (user guide, "CodeDeploy limits").
const (
	maxApplications = 1000
	maxGroups       = 1000
	maxConfigs      = 200
	maxAlarms       = 10
	maxTriggers     = 10
	maxBatchNames   = 100
	maxWait         = 2880 // minutes before blue ends
	maxReadyWait    = 7200 // minutes before traffic moves
)

// errOwned is for what a greengate.yaml service shows over the wire.
func errOwned(what, name string) error {
	return fault("InvalidOperationException",
		"The "+what+" "+name+" belongs to a service of greengate.yaml; change it there, or delete it with `greengate delete`.")
}

func platform(p string) codedeploy.ComputePlatform {
	if p == "" {
		return codedeploy.ComputePlatformECS
	}
	return codedeploy.ComputePlatform(p)
}

func (c *codeDeploy) createApplication(ctx context.Context, by Principal, in *codedeploy.CreateApplicationInput) (*codedeploy.CreateApplicationOutput, error) {
	if err := c.allow(ctx, by, "CreateApplication", &groupName{application: in.ApplicationName}); err != nil {
		return nil, err
	}
	if err := checkApplicationName(in.ApplicationName); err != nil {
		return nil, err
	}
	if in.ComputePlatform != "" && !in.ComputePlatform.Known() {
		return nil, fault("InvalidComputePlatformException", "The computePlatform is invalid. It is Lambda, Server or ECS.")
	}
	tags, err := readTags(in.Tags)
	if err != nil {
		return nil, err
	}
	a := cloud.Application{
		Name: in.ApplicationName, ID: newUUID(), Platform: string(codedeploy.ComputePlatformServer), Created: c.cfg.Now(), Tags: tags,
	}
	if in.ComputePlatform != "" {
		a.Platform = string(in.ComputePlatform)
	}
	err = c.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		if c.taken(d.State(), a.Name) {
			return fault("ApplicationAlreadyExistsException", "An application with the name "+a.Name+" already exists.")
		}
		if len(cloud.All[cloud.Application](d.State())) >= maxApplications {
			return fault("ApplicationLimitExceededException", "More applications were attempted to be created than are allowed.")
		}
		d.Put(a)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &codedeploy.CreateApplicationOutput{ApplicationID: a.ID}, nil
}

// taken reports whether an application has the name, ours of greengate.yaml included.
func (c *codeDeploy) taken(st cloud.State, name string) bool {
	_, made := cloud.Find[cloud.Application](st, name)
	_, ours := st.Services[name]
	return made || ours
}

func (c *codeDeploy) batchGetApplications(ctx context.Context, by Principal, in *codedeploy.BatchGetApplicationsInput) (*codedeploy.BatchGetApplicationsOutput, error) {
	if len(in.ApplicationNames) == 0 {
		return nil, errApplicationNameRequired
	}
	if len(in.ApplicationNames) > maxBatchNames {
		return nil, fault("BatchLimitExceededException", "The maximum number of applications in one request is 100.")
	}
	out := &codedeploy.BatchGetApplicationsOutput{ApplicationsInfo: []codedeploy.ApplicationInfo{}}
	for _, name := range in.ApplicationNames {
		if err := c.allow(ctx, by, "BatchGetApplications", &groupName{application: name}); err != nil {
			return nil, err
		}
		if err := checkApplicationName(name); err != nil {
			return nil, err
		}
		a, err := c.cfg.Catalog.Application(ctx, name)
		if err != nil {
			return nil, onResource(err, resApplication)
		}
		out.ApplicationsInfo = append(out.ApplicationsInfo, codedeploy.ApplicationInfo{
			ApplicationID: a.ID, ApplicationName: a.Name, CreateTime: shapes.At(a.Created), LinkedToGitHub: new(false), ComputePlatform: platform(a.Platform),
		})
	}
	return out, nil
}

func (c *codeDeploy) updateApplication(ctx context.Context, by Principal, in *codedeploy.UpdateApplicationInput) (*nothing, error) {
	if err := c.allow(ctx, by, "UpdateApplication", &groupName{application: in.ApplicationName}); err != nil {
		return nil, err
	}
	if err := checkApplicationName(in.ApplicationName); err != nil {
		return nil, err
	}
	if in.NewApplicationName == "" || in.NewApplicationName == in.ApplicationName {
		_, err := c.cfg.Catalog.Application(ctx, in.ApplicationName)
		return &nothing{}, onResource(err, resApplication)
	}
	if err := checkApplicationName(in.NewApplicationName); err != nil {
		return nil, err
	}
	return &nothing{}, c.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		a, err := c.application(d.State(), in.ApplicationName)
		if err != nil {
			return err
		}
		if c.taken(d.State(), in.NewApplicationName) {
			return fault("ApplicationAlreadyExistsException", "An application with the name "+in.NewApplicationName+" already exists.")
		}
		d.Remove(a)
		for _, g := range cloud.All[cloud.DeploymentGroup](d.State()) {
			if g.Application == a.Name {
				d.Remove(g)
				g.Application = in.NewApplicationName
				d.Put(g)
			}
		}
		for _, r := range cloud.All[cloud.Revision](d.State()) {
			if r.Application == a.Name {
				d.Remove(r)
				r.Application = in.NewApplicationName
				d.Put(r)
			}
		}
		a.Name = in.NewApplicationName
		d.Put(a)
		return nil
	})
}

// application finds one that was made over the wire.
func (c *codeDeploy) application(st cloud.State, name string) (cloud.Application, error) {
	if _, ours := st.Services[name]; ours {
		return cloud.Application{}, errOwned("application", name)
	}
	a, ok := cloud.Find[cloud.Application](st, name)
	if !ok {
		return a, fault("ApplicationDoesNotExistException", "No application found for name: "+name)
	}
	return a, nil
}

// deleteApplication removes an application with its groups and revisions. One that does not exist is none: the model has
// no error for it.
func (c *codeDeploy) deleteApplication(ctx context.Context, by Principal, in *codedeploy.DeleteApplicationInput) (*nothing, error) {
	if err := c.allow(ctx, by, "DeleteApplication", &groupName{application: in.ApplicationName}); err != nil {
		return nil, err
	}
	if err := checkApplicationName(in.ApplicationName); err != nil {
		return nil, err
	}
	return &nothing{}, c.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		if _, ours := d.State().Services[in.ApplicationName]; ours {
			return errOwned("application", in.ApplicationName)
		}
		for _, g := range cloud.All[cloud.DeploymentGroup](d.State()) {
			if g.Application == in.ApplicationName {
				d.Remove(g)
			}
		}
		for _, r := range cloud.All[cloud.Revision](d.State()) {
			if r.Application == in.ApplicationName {
				d.Remove(r)
			}
		}
		d.Remove(cloud.Application{Name: in.ApplicationName})
		return nil
	})
}

// Limits of tags.
const (
	maxTagKey   = 128
	maxTagValue = 256
	maxTags     = 50
)

func readTags(list []codedeploy.Tag) (map[string]string, error) {
	tags := map[string]string{}
	for _, t := range list {
		if t.Key == "" || len(t.Key) > maxTagKey || len(t.Value) > maxTagValue || strings.HasPrefix(strings.ToLower(t.Key), "aws:") {
			return nil, fault("InvalidTagsToAddException", "A tag is not valid: a key has 1 to 128 characters and does not begin with aws:, a value has at most 256.")
		}
		tags[t.Key] = t.Value
	}
	if len(tags) > maxTags {
		return nil, fault("InvalidTagsToAddException", "A resource has at most 50 tags.")
	}
	return tags, nil
}
