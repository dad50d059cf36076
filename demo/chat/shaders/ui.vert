// Dear ImGui's vertices: positions in display units, texture coordinates, colours in bytes.
#version 450

layout(location = 0) in vec2 position;
layout(location = 1) in vec2 at;
layout(location = 2) in vec4 colour;

layout(push_constant) uniform Push {
  vec2 scale;   // display units to clip space
  vec2 origin;  // clip position of the display's corner
};

layout(location = 0) out vec4 tint;
layout(location = 1) out vec2 texel;

void main() {
  tint = colour;
  texel = at;
  gl_Position = vec4(position * scale + origin, 0.0, 1.0);
}
