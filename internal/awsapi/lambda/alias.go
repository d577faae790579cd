package lambda

import (
	"context"
	"maps"
	"slices"

	"greengate/internal/awsapi"
	shape "greengate/internal/awsapi/shapes/lambda"
	"greengate/internal/cloud"
)

func (s *Service) alias(f cloud.Function, name string) *shape.AliasConfiguration {
	return &shape.AliasConfiguration{AliasARN: s.arn(f.Name, name), Name: name, FunctionVersion: f.Aliases[name]}
}

func noAlias(arn string) error {
	return &awsapi.Error{Name: "ResourceNotFoundException", Message: "Cannot find alias arn: " + arn, Status: 404}
}

// editAliases changes the aliases of a function.
func (s *Service) editAliases(ctx context.Context, ref string, change func(f *cloud.Function) error) (cloud.Function, error) {
	var out cloud.Function
	err := s.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		f, _, err := s.find(d.State(), ref, latest)
		if err != nil {
			return err
		}
		f.Aliases = maps.Clone(f.Aliases)
		if f.Aliases == nil {
			f.Aliases = map[string]string{}
		}
		if err := change(&f); err != nil {
			return err
		}
		d.Put(f)
		out = f
		return nil
	})
	return out, err
}

// version checks that a function has the version that an alias is to name.
func (s *Service) version(f *cloud.Function, version string) error {
	if version == latest || slices.ContainsFunc(f.Publish, func(v cloud.FunctionVersion) bool { return v.Version == version }) {
		return nil
	}
	return &awsapi.Error{Name: "ResourceNotFoundException", Message: "Function not found: " + s.arn(f.Name, version), Status: 404}
}

func (s *Service) createAlias(ctx context.Context, _ awsapi.Principal, in *shape.CreateAliasRequest) (*shape.AliasConfiguration, error) {
	if !aliasPattern.MatchString(in.Name) {
		return nil, badInput("The alias '%s' must have 1 to 128 letters, digits, hyphens and underscores.", in.Name)
	}
	if in.RoutingConfig != nil && len(in.RoutingConfig.AdditionalVersionWeights) > 0 {
		return nil, badInput("Weighted aliases are not served.")
	}
	f, err := s.editAliases(ctx, in.FunctionName, func(f *cloud.Function) error {
		if _, ok := f.Aliases[in.Name]; ok {
			return &awsapi.Error{Name: "ResourceConflictException", Message: "Alias already exists: " + s.arn(f.Name, in.Name), Status: 409}
		}
		f.Aliases[in.Name] = in.FunctionVersion
		return s.version(f, in.FunctionVersion)
	})
	return s.alias(f, in.Name), err
}

func (s *Service) updateAlias(ctx context.Context, _ awsapi.Principal, in *shape.UpdateAliasRequest) (*shape.AliasConfiguration, error) {
	f, err := s.editAliases(ctx, in.FunctionName, func(f *cloud.Function) error {
		if _, ok := f.Aliases[in.Name]; !ok {
			return noAlias(s.arn(f.Name, in.Name))
		}
		if in.FunctionVersion != "" {
			f.Aliases[in.Name] = in.FunctionVersion
		}
		return s.version(f, f.Aliases[in.Name])
	})
	return s.alias(f, in.Name), err
}

func (s *Service) getAlias(_ context.Context, _ awsapi.Principal, in *shape.GetAliasRequest) (*shape.AliasConfiguration, error) {
	f, _, err := s.find(s.cfg.Resources.State(), in.FunctionName, latest)
	if err != nil {
		return nil, err
	}
	if _, ok := f.Aliases[in.Name]; !ok {
		return nil, noAlias(s.arn(f.Name, in.Name))
	}
	return s.alias(f, in.Name), nil
}

func (s *Service) deleteAlias(ctx context.Context, _ awsapi.Principal, in *shape.DeleteAliasRequest) (*struct{}, error) {
	_, err := s.editAliases(ctx, in.FunctionName, func(f *cloud.Function) error {
		delete(f.Aliases, in.Name)
		f.Permissions = maps.Clone(f.Permissions)
		delete(f.Permissions, in.Name)
		return nil
	})
	return nil, err
}

func (s *Service) listAliases(_ context.Context, _ awsapi.Principal, in *shape.ListAliasesRequest) (*shape.ListAliasesResponse, error) {
	f, _, err := s.find(s.cfg.Resources.State(), in.FunctionName, latest)
	if err != nil {
		return nil, err
	}
	out := &shape.ListAliasesResponse{Aliases: []shape.AliasConfiguration{}}
	for _, name := range slices.Sorted(maps.Keys(f.Aliases)) {
		if in.FunctionVersion == "" || f.Aliases[name] == in.FunctionVersion {
			out.Aliases = append(out.Aliases, *s.alias(f, name))
		}
	}
	return out, nil
}

func (s *Service) listTags(_ context.Context, _ awsapi.Principal, in *shape.ListTagsRequest) (*shape.ListTagsResponse, error) {
	f, _, err := s.find(s.cfg.Resources.State(), in.Resource, "")
	return &shape.ListTagsResponse{Tags: f.Tags}, err
}

func (s *Service) editTags(ctx context.Context, ref string, change func(tags map[string]string)) error {
	return s.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		f, _, err := s.find(d.State(), ref, "")
		if err != nil {
			return err
		}
		f.Tags = maps.Clone(f.Tags)
		if f.Tags == nil {
			f.Tags = map[string]string{}
		}
		change(f.Tags)
		d.Put(f)
		return nil
	})
}

func (s *Service) tagResource(ctx context.Context, _ awsapi.Principal, in *shape.TagResourceRequest) (*struct{}, error) {
	return nil, s.editTags(ctx, in.Resource, func(tags map[string]string) { maps.Copy(tags, in.Tags) })
}

func (s *Service) untagResource(ctx context.Context, _ awsapi.Principal, in *shape.UntagResourceRequest) (*struct{}, error) {
	return nil, s.editTags(ctx, in.Resource, func(tags map[string]string) {
		for _, k := range in.TagKeys {
			delete(tags, k)
		}
	})
}
