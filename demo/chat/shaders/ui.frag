// The atlas holds coverage only; everything drawn takes its colour from the vertices.
#version 450

layout(location = 0) in vec4 tint;
layout(location = 1) in vec2 texel;

layout(set = 0, binding = 0) uniform sampler2D atlas;

layout(location = 0) out vec4 pixel;

void main() {
  pixel = vec4(tint.rgb, tint.a * texture(atlas, texel).r);
}
