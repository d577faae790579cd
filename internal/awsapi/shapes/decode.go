package shapes

import "encoding/json"

// Decode is replaced below.
func Decode(data []byte, into any) error { return json.Unmarshal(data, into) }

// CodeDeployTargetPrefix is generated.
const CodeDeployTargetPrefix = "CodeDeploy_20141006"
