// First include of every embedding stub.
#include "lib/prelude.glsl"
#include "shared/push.h"
layout(push_constant) uniform Push { EmbedPush p; };
#include "lib/weights.glsl"
