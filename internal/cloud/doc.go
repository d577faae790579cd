// Package cloud holds the resources that a local installation manages: services, their listeners
// and their task sets. It is their single writer: the engine's adapters and the wire both change
// them here, so that a conflict is seen and a change is durable before anybody acts on it.
//
// Every change is written through to the store in one transaction together with the revision
// number, then taken into memory, then announced. State.Revision rises with every change and never
// repeats, so it serves as the version of the data plane's table.
package cloud
