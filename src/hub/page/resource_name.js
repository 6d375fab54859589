// Names of claimed resources, short enough for a row.

/**
 * Returns a file without the folders above its project, which every row would repeat.
 * @param {string} resource
 * @param {import("./mesh_data.js").MeshData} mesh
 */
export function resourceName(resource, mesh) {
  const project = mesh.peers.map((peer) => peer.project).find((path) => path && resource.startsWith(`file:${path}/`));
  if (project) return `${project.split("/").at(-1)}/${resource.slice(project.length + 6)}`;
  return resource.startsWith("file:") ? resource.slice(5) : resource;
}
