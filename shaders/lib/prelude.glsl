// Extensions and names that every kernel uses.
#extension GL_EXT_control_flow_attributes : require
#define UNROLL [[unroll]]
#define LOOP [[dont_unroll]]
