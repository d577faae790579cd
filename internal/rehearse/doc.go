// Package rehearse runs the deployment of a service before it is run for real: whole, in a scratch installation on free
// ports, first without and then with faults, under a load that counts every request that is lost.
//
// It drives the binary by its own commands. The service is what its file says but for what a rehearsal must change: the
// addresses of its listeners, how long it waits, and the fault that is put into it.
package rehearse
