// First include of every matrix stub: what the codec needs in front of it.
#include "lib/prelude.glsl"
#include "shared/push.h"
layout(push_constant) uniform Push { MatPush p; };
#include "lib/weights.glsl"
