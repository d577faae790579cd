package engine_test

const scaleEnv = "GG_TEST_SCALE"

func scaleMain() int { return 0 }
