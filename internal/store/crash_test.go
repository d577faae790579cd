package store_test

func commitForever(string) {}
