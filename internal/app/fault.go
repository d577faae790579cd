//go:build !faultinject

package app

import (
	"greengate/internal/cloud"
	"greengate/internal/engine"
	"greengate/internal/store"
)

// What a role keeps durable goes through these, so that a build for crash tests can kill the role between
// two writes (fault_inject.go). In a product build they are the store itself.

func journalOf(db *store.DB, _ Paths) engine.Store { return db }

func resourcesOf(db *store.DB, _ Paths) cloud.Resources { return resources{db} }

func runnerFault(Paths) func(point string) { return nil }
