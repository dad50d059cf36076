// How a kernel walks through memory in units of 16 bytes. Lanes of a GPU walk side by side; a core
// goes through a stretch of its own, as its prefetcher and its pages want it. Every lane takes as
// many turns.
layout(local_size_x_id = 0) in;
layout(push_constant) uniform Push {
  uint turns;
  uint step;  // units from a lane's turn to its next
  uint span;  // units from a workgroup's first to the next one's
};
uint unit_of(uint turn) {
  return gl_WorkGroupID.x * span + turn * step + gl_LocalInvocationID.x;
}
