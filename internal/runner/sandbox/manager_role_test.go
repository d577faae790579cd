package sandbox

func managerMain([]string) error { return nil }
