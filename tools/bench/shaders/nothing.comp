#version 450
// The cost of a dispatch.
layout(local_size_x = 1) in;
void main() {}
